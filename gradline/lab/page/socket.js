/* Talks to the server: one WebSocket, questions and answers matched by their id.

   ask(message) resolves to the answer, or rejects with an Error whose message is the
   server's sentence. A lost connection is tried again; `onstate` is told "open" or
   "lost", `onpush` every message that answers nothing: hello, progress. */

const LOST = "The connection to the lab was lost.";

export class Socket {
  constructor({ onstate = () => {}, onpush = () => {} } = {}) {
    this.onstate = onstate;
    this.onpush = onpush;
    this.waiting = new Map();
    this.next = 1;
    this.tries = 0;
    this.connect();
  }

  connect() {
    clearTimeout(this.timer);
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    this.socket = new WebSocket(`${scheme}://${location.host}/ws`);
    this.socket.addEventListener("open", () => {
      this.tries = 0;
      this.onstate("open");
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
    for (const { reject } of this.waiting.values()) reject(new Error(LOST));
    this.waiting.clear();
    this.onstate("lost");
    const wait = Math.min(5000, 250 * 2 ** this.tries++);
    this.timer = setTimeout(() => this.connect(), wait);
  }

  /* Try now rather than when the time has come. */
  again() {
    if (this.socket.readyState === WebSocket.CLOSED) this.connect();
  }

  ask(message) {
    if (this.socket.readyState !== WebSocket.OPEN) return Promise.reject(new Error(LOST));
    const id = this.next++;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      this.socket.send(JSON.stringify({ id, ...message }));
    });
  }
}
