// What an episode is scrubbed and played with: a slider, a button and keys. Knows nothing of what it shows.

export class Player {
  // `show` is called with each moment, 0 to `last`; `hz` moments a second are played.
  constructor({ slider, button, hz, last, show }) {
    Object.assign(this, { slider, button, hz, last, show, moment: 0, playing: false });
    slider.min = 0;
    slider.max = last;
    slider.step = 1;
    slider.oninput = () => { this.pause(); this.seek(slider.valueAsNumber); };
    button.onclick = () => this.toggle();
    this.pause();
    this.seek(0);
  }

  seek(moment) {
    this.moment = Math.max(0, Math.min(this.last, moment));
    this.slider.value = this.moment;
    this.show(this.moment);
  }

  toggle() { if (this.playing) this.pause(); else this.play(); }

  pause() {
    this.playing = false;
    this.button.textContent = "play";
  }

  // By the clock: what comes too late is left out, so that a second takes a second.
  play() {
    this.playing = true;
    this.button.textContent = "pause";
    const from = this.moment === this.last ? 0 : this.moment, start = performance.now();
    this.seek(from);
    const tick = (now) => {
      if (!this.playing) return;
      const due = Math.min(this.last, from + Math.max(0, Math.floor(((now - start) * this.hz) / 1000)));
      if (due !== this.moment) this.seek(due);
      if (due === this.last) this.pause();
      else requestAnimationFrame(tick);
    };
    requestAnimationFrame(tick);
  }

  // Carries out a key and says whether it was one of ours.
  key(event) {
    const far = event.shiftKey ? 10 : 1;
    const to = { ArrowLeft: this.moment - far, ArrowRight: this.moment + far, Home: 0, End: this.last }[event.key];
    if (to !== undefined) { this.pause(); this.seek(to); }
    else if (event.key === " " && event.target.tagName !== "BUTTON") this.toggle();
    else return false;
    event.preventDefault();
    return true;
  }
}
