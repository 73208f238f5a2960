/* The one loop that draws: time goes on, then each view that is dirty draws once.

     const stage = new Stage(store, player);
     stage.add(new DataView(canvas, store, player));
     stage.start();

   A view has `dirty` (it wants to be drawn) and `draw(now)`, which returns true while
   something in it still moves. Nothing else draws. */

export class Stage {
  constructor(store, player) {
    this.store = store;
    this.player = player;
    this.views = [];
    this.frames = 0; // pictures drawn so far, for tests and measurements
    this.cost = 0; // milliseconds that the last one took
    this.last = 0;
  }

  add(view) {
    view.dirty = true;
    this.views.push(view);
    return view;
  }

  start() {
    this.last = performance.now();
    const loop = (now) => {
      this.turn(now);
      requestAnimationFrame(loop);
    };
    requestAnimationFrame(loop);
  }

  turn(now) {
    const began = performance.now();
    const seconds = Math.min(0.1, Math.max(0, (now - this.last) / 1000));
    this.last = now;
    this.player.tick(seconds);
    let drawn = false;
    for (const view of this.views) {
      if (!view.dirty) continue;
      view.dirty = false;
      drawn = true;
      if (view.draw(now)) view.dirty = true;
    }
    if (drawn) {
      this.frames += 1;
      this.cost = performance.now() - began;
    }
  }
}

/* Whether the reader asked for less motion. */
export const still = () => matchMedia("(prefers-reduced-motion: reduce)").matches;
