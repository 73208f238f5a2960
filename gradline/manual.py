"""The words of the manual: what each command is for, and examples of it.

The options are not said here: manpage.py takes them from the parser, so that a page
never speaks of an option that is not there. Every example is a line that a test takes
apart, and runs where it can. The examples are about one table, houses.csv, with the
columns area, town and price.
"""

from __future__ import annotations

from typing import NamedTuple


class Example(NamedTuple):
    """What a line does, and the line: a backslash before each line break."""

    text: str
    line: str


class Words(NamedTuple):
    """What a page says beyond the names of options.

    Attributes:
        text: the paragraphs of its description.
        examples: two to four.
        also: the commands that a reader wants next.
        files: what it writes, or reads without being told: (name, what it is).
        synopsis: in place of the one that the parser gives.
    """

    text: tuple[str, ...]
    examples: tuple[Example, ...]
    also: tuple[str, ...]
    files: tuple[tuple[str, str], ...] = ()
    synopsis: tuple[str, ...] = ()


#: What every page says of the exit status.
STATUS = (
    ("0", "It is done."),
    (
        "2",
        "The usage or the input is at fault. One line on standard error says what was "
        "given, what is needed and what to type next; nothing is written.",
    ),
    ("130", "Ctrl-C has stopped it. No half-written file is left."),
)

ENVIRONMENT = (
    (
        "MANPAGER, PAGER",
        "The program that shows a page of this manual on a terminal: the first that is "
        "set, or less. With cat, the page is printed.",
    ),
    ("COLUMNS", "The width of a page, where it is not that of the terminal."),
    ("OMP_NUM_THREADS", "How many threads PyTorch computes with."),
)

#: The page of gradline itself.
GRADLINE = Words(
    text=(
        "gradline fits lines to data: by exact least squares, by gradient descent or "
        "by minibatches, with penalties, bounds and robust losses where you ask for "
        "them. One pass over the rows is enough for most of it, and the data may be "
        "larger than memory.",
        "Every fit comes with a certificate: how far it is from the exact optimum, how "
        "many digits to trust, the learning rate above which descent diverges, and one "
        "sentence on what to do.",
        "DATA is a CSV, Parquet, Arrow or .npy file, a folder of such, or a pattern in "
        "quotes. MODEL is a .safetensors file that 'gradline fit' has saved; it holds "
        "numbers and names, and cannot run code.",
        "Every command takes --json: it then prints one JSON object on standard output "
        "and nothing else; notes and progress go to standard error. It begins with the "
        "name of the command and the version of gradline.",
    ),
    examples=(
        Example("A lesson, written into gradline-demo/", "gradline demo"),
        Example(
            "Fit a line, and see how sure it is",
            "gradline fit houses.csv --target price",
        ),
        Example(
            "Predict with it",
            "gradline predict model.safetensors houses.csv -o predictions.csv",
        ),
        Example("Read on about one command", "gradline help fit"),
    ),
    also=(),
    synopsis=(
        "gradline COMMAND [OPTION]...",
        "gradline COMMAND --help",
        "gradline --version",
    ),
)

COMMANDS = {
    "demo": Words(
        text=(
            "Runs a whole lesson and tells it as it goes: a hundred noisy points, a "
            "random line, a thousand epochs of the five steps of PyTorch (forward, "
            "loss, zero_grad, backward, step), the prediction, the test on points that "
            "were held out, and the proof that the line is the best one. It takes a "
            "few seconds.",
            "What it leaves behind is meant to be opened and changed: lesson.py is "
            "plain PyTorch and runs by itself.",
        ),
        examples=(
            Example("Into gradline-demo/ in this folder", "gradline demo"),
            Example("Into another folder", "gradline demo -o lesson"),
            Example(
                "The numbers alone, the story on standard error",
                "gradline demo --json",
            ),
        ),
        also=("lab", "sample", "fit"),
        files=(
            ("data.csv", "The points, in the columns x and y."),
            ("lesson.py", "The lesson as a script of your own."),
            ("data.png, fit.png, loss.png", "The pictures."),
            ("learning.gif", "The line as it learns."),
            ("model.safetensors", "The model."),
        ),
    ),
    "sample": Words(
        text=(
            "Writes points on a line whose truth is known, y = slope * x + intercept + "
            "noise, with x drawn evenly from 0 to 1 and noise from a normal "
            "distribution. Fit them, and see whether the truth comes back.",
            "Without --seed, the points are others each time. The ending of the file "
            "says in what form they are written; a single - stands for standard "
            "output.",
            "With --examples it writes, instead, the files that gradline's documents "
            "read, and a folder for the pictures that they draw, so that the code of "
            "every page runs where you are. A file that is there and holds something "
            "else is not overwritten.",
        ),
        examples=(
            Example("A hundred points as data.csv", "gradline sample"),
            Example(
                "A million points on another line",
                "gradline sample -n 1000000 --slope 3 --intercept -2 \\\n"
                "    --seed 1 -o line.parquet",
            ),
            Example("To standard output", "gradline sample -n 5 --seed 0 -o -"),
            Example("The documents' data as docs/*.csv", "gradline sample --examples"),
        ),
        also=("fit", "demo"),
        files=(
            ("data.csv", "The points, unless -o names another file."),
            (
                "docs/penguins.csv, docs/engel.csv, docs/flights.csv, docs/rents.csv",
                "With --examples, or in the folder that it names.",
            ),
        ),
    ),
    "fit": Words(
        text=(
            "Reads DATA once, finds the line that predicts the target from the "
            "features, prints its coefficients with standard errors and the "
            "certificate, and saves the model. Unless you name --features, every "
            "other column is one. Text becomes categories, with the first level as the "
            "base; coefficients are in the units of the data.",
            "Without an option that asks for something else, the fit is the exact "
            "least-squares one. Any option of descent, such as --lr, makes it gradient "
            "descent, followed in closed form for squared loss; --batch-size makes it "
            "minibatches; --penalty adds ridge, lasso or elastic net, whose weight is "
            "chosen by cross-validation unless --alpha says it; --loss takes Huber, "
            "absolute or quantile loss.",
            "gradline would rather stop than go on with a wrong number: at a missing "
            "value (unless --missing drop), at a constant column (unless "
            "--minimum-norm), at a learning rate over the limit of stability. The "
            "message says where, and what to type.",
        ),
        examples=(
            Example(
                "Price by all other columns",
                "gradline fit houses.csv --target price",
            ),
            Example(
                "A formula, and standard errors for noise that differs by row",
                "gradline fit houses.csv --formula 'log(price) ~ log(area) + town' \\\n"
                "    --cov HC3 -o log.safetensors",
            ),
            Example(
                "Rows set aside, to choose by and to test on",
                "gradline fit houses.csv --target price --penalty ridge \\\n"
                "    --validation 0.2 --test 0.2",
            ),
            Example(
                "Gradient descent, and a picture of how it got there",
                "gradline fit houses.csv --target price --features area \\\n"
                "    --method gd --epochs 50 --surface surface.png",
            ),
        ),
        also=("predict", "evaluate", "tune", "report"),
        files=(("model.safetensors", "The model, unless -o names another file."),),
        synopsis=(
            "gradline fit DATA --target COLUMN [OPTION]...",
            "gradline fit DATA --formula TEXT [OPTION]...",
        ),
    ),
    "predict": Words(
        text=(
            "Writes the rows of DATA again with a column 'prediction', in the units of "
            "the target. DATA needs the columns that the model was fitted on, by name "
            "and in any order; others are passed on as they are. Rows are read and "
            "written in batches, so that the data may be larger than memory.",
            "With --interval come the columns low and high: for a new observation, or "
            "with --kind confidence for the line itself.",
        ),
        examples=(
            Example(
                "Into predictions.csv",
                "gradline predict model.safetensors houses.csv",
            ),
            Example(
                "With the bounds that hold 95 in 100 new observations",
                "gradline predict model.safetensors houses.csv --interval 0.95 \\\n"
                "    -o guesses.parquet",
            ),
            Example(
                "Rows with gaps stay, without a prediction",
                "gradline predict model.safetensors houses.csv --missing nan",
            ),
        ),
        also=("fit", "evaluate", "serve"),
        files=(("predictions.csv", "The rows, unless -o names another file."),),
    ),
    "evaluate": Words(
        text=(
            "Scores a model on data with the target among its columns: R², the root "
            "mean squared error and the mean absolute error, both in the units of the "
            "target. Levels of a category that the model has not seen are counted.",
            "A model whose fit set rows aside knows them again, by a hash of what "
            "stands in them: --part test scores those alone, once the choice is made.",
        ),
        examples=(
            Example(
                "On all rows",
                "gradline evaluate model.safetensors houses.csv",
            ),
            Example(
                "On the rows that its fit set aside for the end",
                "gradline evaluate model.safetensors houses.csv --part test",
            ),
            Example(
                "For a program to read",
                "gradline evaluate model.safetensors houses.csv --json",
            ),
        ),
        also=("fit", "predict", "report"),
    ),
    "tune": Words(
        text=(
            "Tries settings of fit, scores each on the validation part, learns the "
            "best one again from the training and validation parts, and scores that "
            "one once on the test part. For squared loss a thousand learning rates, "
            "epochs or penalties cost one pass over the data.",
            "Each --search names an option of fit, without its dashes, and its values "
            "or a range. Lists are tried in all combinations; where a range is given, "
            "settings are drawn. The sampler optuna draws by what was good so far, and "
            "needs an extra: pip install 'gradline[tune]'.",
            "With --storage, what was tried is kept, and the same call goes on where "
            "it stopped.",
        ),
        examples=(
            Example(
                "How strong a ridge",
                "gradline tune houses.csv --target price",
            ),
            Example(
                "Ridge or lasso, and how strong",
                "gradline tune houses.csv --target price \\\n"
                "    --search penalty=ridge,lasso --search alpha=1e-4:10:log:20",
            ),
            Example(
                "Which degree, with a picture of the curve",
                "gradline tune houses.csv --target price --features area \\\n"
                "    --search degree=1,2,3,4,5 --plot degrees.png",
            ),
        ),
        also=("fit", "evaluate"),
        files=(
            ("model.safetensors", "The chosen model, unless -o names another file."),
        ),
        synopsis=("gradline tune DATA --target COLUMN [--search NAME=VALUES]...",),
    ),
    "lab": Words(
        text=(
            "Serves a page on which one watches gradient descent find a line, and says "
            "its address. Play, step, or go to any epoch; push the learning rate over "
            "its limit; make the classic mistakes and mend them; take a lesson in ten "
            "steps. The data are ready-made, or yours: DATA here, or a file that is "
            "opened on the page. Ctrl-C ends it.",
            "Only this machine can open the page, unless --host says otherwise; there "
            "is no password then. It needs no network.",
        ),
        examples=(
            Example("With ready-made data", "gradline lab"),
            Example(
                "With a file of yours",
                "gradline lab houses.csv --target price --features area",
            ),
            Example(
                "On another machine, by ssh -L 8080:localhost:8080",
                "gradline lab --no-browser --port 8080",
            ),
        ),
        also=("demo", "fit"),
    ),
    "report": Words(
        text=(
            "Writes one HTML file to send to a colleague or to print: what was fitted "
            "on what, the certificate, coefficients with their intervals, scores, "
            "pictures of the residuals, what to watch and what to do about it, and the "
            "code that makes the fit again. It opens offline and is below 300 kB.",
            "Given data, it fits them first, with the options of 'gradline fit'. Given "
            "a model, it tells what the model file holds; --data adds the pictures of "
            "the residuals.",
        ),
        examples=(
            Example(
                "Of data",
                "gradline report houses.csv --target price",
            ),
            Example(
                "Of a model, and the rows it was fitted on",
                "gradline report model.safetensors --data houses.csv -o model.html",
            ),
        ),
        also=("fit", "evaluate"),
        files=(("report.html", "The report, unless -o names another file."),),
        synopsis=(
            "gradline report DATA --target COLUMN [OPTION]...",
            "gradline report MODEL [--data FILE] [-o FILE]",
        ),
    ),
    "export": Words(
        text=(
            "Writes a saved model in a form that runs where gradline does not: a "
            "PyTorch script, an ONNX file, or a SELECT for a database. Categories, "
            "polynomials and transforms go with it: all three take the raw columns of "
            "the data and give predictions in the units of the target.",
            "ONNX needs an extra: pip install 'gradline[onnx]'.",
        ),
        examples=(
            Example(
                "As a script that needs nothing but PyTorch",
                "gradline export model.safetensors --to pytorch",
            ),
            Example(
                "As an ONNX file",
                "gradline export model.safetensors --to onnx",
            ),
            Example(
                "As SQL",
                "gradline export model.safetensors --to sql",
            ),
        ),
        also=("fit", "predict", "serve"),
    ),
    "serve": Words(
        text=(
            "Answers predictions of a saved model over HTTP until Ctrl-C: rows go in "
            "as JSON or as an Arrow stream, and predictions come back the same way. "
            "Beside them are a health check, metrics for Prometheus and a description "
            "of all of it in OpenAPI. The address it says at the start leads to them.",
            "Only this machine can ask it, unless --host says otherwise. It has no "
            "password and no encryption: put a proxy that has both before it.",
        ),
        examples=(
            Example("On this machine", "gradline serve model.safetensors"),
            Example(
                "On another port",
                "gradline serve model.safetensors --port 9000",
            ),
        ),
        also=("predict", "export"),
    ),
    "completion": Words(
        text=(
            "Prints a script with which a shell completes, at the Tab key, the "
            "commands of gradline, their options, the values that an option takes, and "
            "the names of files: .safetensors where a model is meant. The script is of "
            "this version and asks nothing when it is used; print it again after an "
            "upgrade.",
            "Put it where your shell looks for it, and open a new shell. For bash, the "
            "first example needs the package bash-completion; without it, end "
            "~/.bashrc with the line: source <(gradline completion bash). For zsh, the "
            "folder is to stand in ~/.zshrc, before compinit is called: "
            "fpath=(~/.zfunc $fpath).",
        ),
        examples=(
            Example(
                "bash",
                "gradline completion bash \\\n"
                "    > ~/.local/share/bash-completion/completions/gradline",
            ),
            Example("zsh", "gradline completion zsh > ~/.zfunc/_gradline"),
            Example(
                "fish",
                "gradline completion fish > ~/.config/fish/completions/gradline.fish",
            ),
            Example(
                "tcsh, beside the line 'source ~/.gradline.tcsh' in ~/.tcshrc",
                "gradline completion tcsh > ~/.gradline.tcsh",
            ),
        ),
        also=("help",),
    ),
    "help": Words(
        text=(
            "Shows the page of a command in the form of a manual page; without one, "
            "the page of gradline itself. On a terminal it opens in a pager (q leaves "
            "it), elsewhere it is plain text. 'gradline COMMAND --help' is the short "
            "form.",
            "With --roff the page is written in the language of man, for a folder in "
            "which man looks.",
        ),
        examples=(
            Example("The page of fit", "gradline help fit"),
            Example("All commands", "gradline help"),
            Example(
                "As a page for man",
                "gradline help --roff fit > gradline-fit.1",
            ),
        ),
        also=("completion",),
    ),
}
