/* Talks to the server: one WebSocket, questions and answers matched by their id.

   ask(message) resolves to the answer, or rejects with an Error whose message is the
   server's sentence. A lost connection is tried again; `onstate` is told "open" or
   "closed". */

export class Socket {
  constructor({ onstate = () => {}, onpush = () => {} } = {}) {
    this.onstate = onstate;
    this.onpush = onpush; // messages that answer nothing: progress
    this.waiting = new Map();
    this.next = 1;
    this.tries = 0;
    this.connect();
  }

  connect() {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    this.socket = new WebSocket(`${scheme}://${location.host}/ws`);
    this.opened = new Promise((resolve) => {
      this.socket.addEventListener("open", () => {
        this.tries = 0;
        resolve();
        this.onstate("open");
      });
    });
    this.socket.addEventListener("message", (event) => this.receive(event.data));
    this.socket.addEventListener("close", () => this.lost());
  }

  receive(text) {
    const answer = JSON.parse(text);
    const waiting = this.waiting.get(answer.id);
    if (!waiting) {
      this.onpush(answer);
      return;
    }
    this.waiting.delete(answer.id);
    if (answer.type === "error") waiting.reject(new Error(answer.message));
    else waiting.resolve(answer);
  }

  lost() {
    for (const { reject } of this.waiting.values()) {
      reject(new Error("The connection to the lab was lost."));
    }
    this.waiting.clear();
    this.onstate("closed");
    const wait = Math.min(5000, 250 * 2 ** this.tries++);
    setTimeout(() => this.connect(), wait);
  }

  async ask(message) {
    await this.opened;
    const id = this.next++;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      this.socket.send(JSON.stringify({ id, ...message }));
    });
  }
}
