/* @openai/agents-realtime in Node: `RealtimeSession` over its WebSocket transport, as its documentation shows it.
 *
 * Run as  node program.cjs URL KEY CLIP SCENARIO...  with the packages in NODE_PATH; reports as the Python programs
 * do (tests/clients/scenario.py): one line of JSON for each scenario. What escapes to the process is a failure.
 */
'use strict';

const fs = require('node:fs');
const { RealtimeAgent, RealtimeSession, tool } = require('@openai/agents-realtime');
const { z } = require('zod');

const CLIENT = `agents-js ${packageVersion()}`;
const LIMIT_MS = 20_000;
const SCENARIO_LIMIT_MS = 45_000;
const PIECE_MS = 40;
const PIECE_BYTES = 24 * PIECE_MS * 2;
const HELLO = 'hello';
const STORY = 'tell me a long story';
const WEATHER = 'what is the weather in Paris';
const SUNNY = 'It is sunny and warm';

function packageVersion() {
  const entry = require.resolve('@openai/agents-realtime');
  const root = entry.slice(0, entry.lastIndexOf('/dist/'));
  return JSON.parse(fs.readFileSync(`${root}/package.json`, 'utf8')).version;
}

/** One scenario being played: what was seen so far. */
class Run {
  constructor(url, key, clip) {
    Object.assign(this, { url: url.replace(/^http/, 'ws'), key, clip, expectsRefusal: false });
    Object.assign(this, { errors: [], shown: [], waiting: new Set() });
    this.facts = { said: '', heard: '', audio_bytes: 0, is_audible: false };
  }

  note(facts = {}) {
    Object.assign(this.facts, facts);
    for (const look of [...this.waiting]) look();
  }

  hearAudio(sound) {
    const bytes = new Uint8Array(sound);
    const audible = this.facts.is_audible || bytes.some((byte) => byte !== 0);
    this.note({ audio_bytes: this.facts.audio_bytes + bytes.length, is_audible: audible });
  }

  /** The client told its user of an error: a failure, unless the scenario is about that. */
  fault(text) {
    (this.expectsRefusal ? this.shown : this.errors).push(text);
    this.note();
  }

  /** Something escaped the client: always a failure. */
  uncaught(text) {
    this.errors.push(text);
    this.note();
  }

  /** Waits for something to be so; fails when it takes too long, or an error came first. */
  until(what, isSo) {
    return new Promise((resolve, reject) => {
      const end = (settle, value) => {
        clearTimeout(timer);
        this.waiting.delete(look);
        settle(value);
      };
      const look = () => {
        if (isSo()) end(resolve);
        else if (this.errors.length) end(reject, new Error(`while waiting for ${what}`));
      };
      const late = () => end(reject, new Error(`waited ${LIMIT_MS / 1000} s for ${what}`));
      const timer = setTimeout(late, LIMIT_MS);
      this.waiting.add(look);
      look();
    });
  }
}

function describe(error) {
  let told = error;
  while (told?.error) told = told.error;
  return told?.message ? `${told.code ?? told.name ?? 'error'}: ${told.message}` : JSON.stringify(told);
}

const getWeather = (run) =>
  tool({
    name: 'get_weather',
    description: 'The weather in a city.',
    parameters: z.object({ city: z.string() }),
    execute: async ({ city }) => {
      run.note({ tool_calls: [...(run.facts.tool_calls ?? []), ['get_weather', { city }]] });
      return SUNNY;
    },
  });

/** One session and what it told. */
class Talk {
  constructor(run) {
    this.run = run;
    this.turns = [];
    this.interrupted = false;
    const agent = new RealtimeAgent({ name: 'Reception', instructions: 'Be brief.', tools: [getWeather(run)] });
    this.session = new RealtimeSession(agent, { transport: 'websocket', model: 'm' });
    this.session.on('error', (error) => run.fault(describe(error)));
    this.session.on('audio', (event) => run.hearAudio(event.data));
    this.session.on('audio_interrupted', () => {
      this.interrupted = true;
      run.note();
    });
    this.session.on('agent_end', (_context, _agent, output) => {
      this.turns.push(output);
      run.note();
    });
    this.session.on('history_updated', (history) => this.read(history));
    this.session.on('transport_event', (event) => this.see(event));
  }

  read(history) {
    const said = history.filter((item) => item.type === 'message' && item.role === 'user');
    const parts = said.at(-1)?.content ?? [];
    this.run.note({ heard: parts.map((part) => part.transcript ?? part.text ?? '').join('') });
  }

  see(event) {
    if (event.type === 'conversation.item.truncated') this.run.note({ truncated_ms: event.audio_end_ms });
    if (event.type === 'response.done' && event.response.status === 'cancelled') {
      this.run.note({ cancelled: event.response.status_details.reason });
    }
  }

  async connect(key = this.run.key) {
    await this.session.connect({ apiKey: key, url: `${this.run.url}/v1/realtime?model=m` });
  }

  /** Waits for so many responses to be over, and notes the words of the last. */
  async answers(count) {
    await this.run.until(`${count} × agent_end`, () => this.turns.length >= count);
    this.run.note({ said: this.turns.at(-1) });
  }

  /** A microphone that is on until the session ends: silence, or what is to be said. */
  listen() {
    this.toSay = Buffer.alloc(0);
    let due = performance.now();
    const send = () => {
      const piece = Buffer.alloc(PIECE_BYTES);
      this.toSay.copy(piece, 0, 0, PIECE_BYTES);
      this.toSay = this.toSay.subarray(PIECE_BYTES);
      this.session.sendAudio(piece.buffer.slice(piece.byteOffset, piece.byteOffset + piece.length));
      due += PIECE_MS;
      this.microphone = setTimeout(send, Math.max(0, due - performance.now()));
    };
    send();
  }

  say(clip) {
    this.toSay = Buffer.concat([this.toSay, clip]);
  }

  close() {
    clearTimeout(this.microphone);
    this.session.close();
  }
}

const scenarios = {
  async text(run, talk) {
    await talk.connect();
    talk.session.sendMessage(HELLO);
    await talk.answers(1);
  },

  async tool(run, talk) {
    await talk.connect();
    talk.session.sendMessage(WEATHER);
    // The first response is the call; the words come with the one after it.
    await run.until('words', () => talk.turns.some((words) => words));
    run.note({ said: talk.turns.find((words) => words) });
  },

  async voice(run, talk) {
    await talk.connect();
    talk.listen();
    talk.say(run.clip);
    await run.until('the transcript of what was said', () => run.facts.heard);
    await talk.answers(1);
  },

  async barge_in(run, talk) {
    await talk.connect();
    talk.listen();
    talk.session.sendMessage(STORY);
    await run.until("the story's first sound", () => run.facts.audio_bytes);
    talk.say(run.clip);
    await run.until('audio_interrupted', () => talk.interrupted);
    await run.until('conversation.item.truncated', () => 'truncated_ms' in run.facts);
    await run.until('the story to be over', () => 'cancelled' in run.facts);
    await talk.answers(2);
    run.note({ interrupted: true });
  },

  async bad_key(run, talk) {
    run.expectsRefusal = true;
    try {
      await talk.connect('wrong');
      await run.until('the refusal', () => run.shown.length);
    } catch (error) {
      run.shown.push(describe(error));
    }
  },
};

async function playOne(run, name) {
  const talk = new Talk(run);
  let timer;
  const late = new Promise((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error('the scenario did not end')), SCENARIO_LIMIT_MS);
  });
  try {
    await Promise.race([scenarios[name](run, talk), late]);
  } catch (error) {
    run.uncaught(describe(error));
  } finally {
    clearTimeout(timer);
    talk.close();
  }
  // What a closed socket still throws is thrown before the next timer.
  await new Promise((resolve) => setTimeout(resolve, 0));
}

async function main() {
  const [url, key, clip, ...names] = process.argv.slice(2);
  const sound = fs.readFileSync(clip);
  let run;
  process.on('uncaughtException', (error) => run.uncaught(`uncaughtException ${describe(error)}`));
  process.on('unhandledRejection', (error) => run.uncaught(`unhandledRejection ${describe(error)}`));
  for (const name of names) {
    run = new Run(url, key, sound);
    await playOne(run, name);
    const { errors, shown, facts } = run;
    const ok = errors.length === 0;
    console.log(JSON.stringify({ client: CLIENT, scenario: name, ok, errors, shown, ...facts }));
  }
  process.exit(0);
}

main();
