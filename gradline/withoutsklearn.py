"""What stands in for scikit-learn where it is not installed: names, and an error.

sklearnbase.py defines its classes on these. None can be made an object of, so that
none of the functions is ever called.
"""

from __future__ import annotations

from typing import Any, NoReturn

from gradline.errors import MissingExtraError


class BaseEstimator:
    """Refuses to be made."""

    def __new__(cls, *_: Any, **__: Any) -> NoReturn:
        raise MissingExtraError(
            f"scikit-learn is not installed, which gl.{cls.__name__} needs: "
            "pip install 'gradline[sklearn]'"
        )


class ClassifierMixin:
    """Adds nothing."""


class MultiOutputMixin:
    """Adds nothing."""


class RegressorMixin:
    """Adds nothing."""


GridSearchCV = LabelBinarizer = MetadataRouter = MethodMapping = None
check_classification_targets = check_is_fitted = check_scalar = check_scoring = None
column_or_1d = compute_sample_weight = get_config = get_scorer = None
process_routing = validate_data = None
