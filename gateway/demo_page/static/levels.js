/** How loud the two ends are: for the eye as bars that wander, for tests as numbers. */

const WINDOW_SAMPLES = 1024;
const BARS_EVERY_MS = 60;
const BAR_PX = 3;
const GAP_PX = 2;
/** What a microphone makes in a quiet room; the bottom of the picture. */
const QUIETEST_DB = -55;

export class Levels {
  #context = null;
  #lanes = {};
  #lastMs = 0;

  /** `canvases`: by whose sound it is, `mic` and `agent`. */
  constructor(canvases) {
    for (const [whose, canvas] of Object.entries(canvases)) {
      this.#lanes[whose] = { canvas, source: null, analyser: null, bars: [], loudest: 0 };
    }
    const draw = (nowMs) => {
      if (nowMs - this.#lastMs >= BARS_EVERY_MS) this.#draw(nowMs);
      requestAnimationFrame(draw);
    };
    requestAnimationFrame(draw);
  }

  /** Inside a click: a browser lets no page make or measure sound before its visitor has done something. */
  wake() {
    this.#context ??= new AudioContext();
    return this.#context.resume();
  }

  listen(stream, whose) {
    const lane = this.#lanes[whose];
    this.forget(whose);
    lane.source = this.#context.createMediaStreamSource(stream);
    lane.analyser = this.#context.createAnalyser();
    lane.analyser.fftSize = WINDOW_SAMPLES;
    lane.source.connect(lane.analyser);
    lane.loudest = 0;
  }

  forget(whose) {
    const lane = this.#lanes[whose];
    lane.source?.disconnect();
    lane.source = lane.analyser = null;
  }

  /** The loudness of the last 20 ms or so, root mean square of full scale 1. */
  loudness(whose) {
    const { analyser } = this.#lanes[whose];
    if (!analyser) return 0;
    const samples = new Float32Array(analyser.fftSize);
    analyser.getFloatTimeDomainData(samples);
    return Math.sqrt(samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length);
  }

  /** Of the call so far; what is louder for less than a bar's time may be missed. */
  loudest(whose) {
    return this.#lanes[whose].loudest;
  }

  #draw(nowMs) {
    this.#lastMs = nowMs;
    const isStill = matchMedia("(prefers-reduced-motion: reduce)").matches;
    for (const [whose, lane] of Object.entries(this.#lanes)) {
      const loudness = this.loudness(whose);
      lane.loudest = Math.max(lane.loudest, loudness);
      if (!lane.canvas.clientWidth) continue;
      const height = heightOf(loudness);
      const room = Math.ceil(lane.canvas.clientWidth / (BAR_PX + GAP_PX));
      const before = isStill ? new Array(room).fill(height) : lane.bars;
      lane.bars = [...new Array(room).fill(0), ...before, height].slice(-room);
      paint(lane.canvas, lane.bars);
    }
  }
}

/** 0 for quiet, 1 for as loud as can be. */
function heightOf(loudness) {
  const db = 20 * Math.log10(loudness || 1e-9);
  return Math.min(1, Math.max(0, 1 - db / QUIETEST_DB));
}

/** The newest bar is on the right; where nothing was, a dot. */
function paint(canvas, bars) {
  const scale = devicePixelRatio;
  const width = canvas.clientWidth;
  const height = canvas.clientHeight;
  if (canvas.width !== width * scale) Object.assign(canvas, { width: width * scale, height: height * scale });
  const pen = canvas.getContext("2d");
  pen.setTransform(scale, 0, 0, scale, 0, 0);
  pen.clearRect(0, 0, width, height);
  pen.fillStyle = getComputedStyle(canvas).color;
  bars.forEach((bar, index) => {
    const tall = Math.max(1, bar * (height - 8));
    const left = width - (bars.length - index) * (BAR_PX + GAP_PX);
    pen.globalAlpha = bar > 0 ? 1 : 0.35;
    pen.fillRect(left, (height - tall) / 2, BAR_PX, tall);
  });
}
