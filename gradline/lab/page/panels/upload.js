/* A file goes to the server as it is: PUT /files, with progress; `reading`: decimal and
   delimiter, where they were chosen. */

export function upload(file, session, progress, reading = {}) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest(); // fetch tells nothing of how far it is
    const query = new URLSearchParams({ name: file.name, session, ...reading });
    request.open("PUT", `/files?${query}`);
    request.upload.addEventListener("progress", (event) => {
      progress(event.lengthComputable && event.loaded < event.total ? event.loaded / event.total : null);
    });
    request.addEventListener("load", () => {
      let answer = null;
      try {
        answer = JSON.parse(request.responseText);
      } catch {
        /* said below */
      }
      if (request.status === 201 && answer) resolve(answer);
      else reject(new Error(answer?.message ?? `The lab could not take ${file.name} (${request.status}).`));
    });
    request.addEventListener("error", () => reject(new Error("The connection to the lab was lost while the file was sent.")));
    request.send(file);
  });
}
