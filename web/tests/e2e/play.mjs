// Plays a stream in headless Chromium and tells what a viewer gets, one JSON object a line, ending with a summary:
//
//   node web/tests/e2e/play.mjs --player hlsjs|videojs|shaka|whep|page|embed --url URL [--seconds N] …
//
// `--url` is a multivariant playlist for the players and the watch or embed page of a server for `page` and
// `embed`. Without `--seconds` it plays until its input ends, and does what its lines say. `--help` lists what else
// there is.
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import { addressOf, launch, newContext, open, quantile, servePlayers, take } from './lib.mjs'
import { watchNetwork } from './network.mjs'

const options = {
  player: { type: 'string', default: 'hlsjs' },
  url: { type: 'string' },
  seconds: { type: 'string', default: '0' },
  every: { type: 'string', default: '200' },
  tabs: { type: 'string', default: '1' },
  joins: { type: 'string', default: '1' },
  settle: { type: 'string', default: '3' },
  cap: { type: 'string', default: '0' },
  turn: { type: 'string', default: '0' },
  api: { type: 'string' },
  tls: { type: 'boolean', default: false },
  quiet: { type: 'boolean', default: false },
  allow: { type: 'string', multiple: true, default: [] },
  screenshot: { type: 'string' },
  'max-stalls': { type: 'string' },
  'min-frames': { type: 'string' },
  'max-delay': { type: 'string' },
  'max-problems': { type: 'string' },
  audio: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
}

const help = `play.mjs --player hlsjs|videojs|shaka|whep|page|embed --url URL
  --seconds N       how long; without it until the input ends
  --every MS        between two samples (200)
  --tabs N          pages in one browser (1)
  --joins N         load the page N times, --seconds each; one "join" line for each
  --settle N        seconds of each join that do not count for its delay (3)
  --cap LINES       hlsjs and videojs choose no quality with more lines of picture
  --turn N          hlsjs, videojs and shaka are made to change their quality each N seconds
  --api URL         fetched by the page each 250 ms; the worst answer is in the summary
  --tls             take self-signed certificates
  --quiet           no sample lines
  --allow REGEX     a page's error that is no problem; may be repeated
  --screenshot F    PNG of the first page at the end
lines of input, for the first page:
  press KEY | click SELECTOR | goto URL | reload | shot FILE
  seek SECONDS      by the seek bar of our page: from its start, or before its end where negative
assertions, exit code 1 where one fails:
  --max-stalls N --min-frames N --max-delay MS (median) --max-problems N --audio (sound was decoded)`

const print = (line) => process.stdout.write(`${JSON.stringify(line)}\n`)
const pass = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

/** One page that plays, and what it has shown so far. */
class Tab {
  samples = []
  stalls = []
  problems = []

  constructor(index, args) {
    this.index = index
    this.args = args
  }

  async open(context, address) {
    const allowed = this.args.allow.map((text) => new RegExp(text))
    this.page = await open(context, 'about:blank', (text) => {
      if (allowed.some((pattern) => pattern.test(text)) || this.problems.includes(text)) return
      this.problems.push(text)
      print({ type: 'problem', tab: this.index, text })
    })
    this.network = await watchNetwork(this.page)
    await this.page.goto(address, { waitUntil: 'commit' })
    if (this.args.api) await this.page.evaluate(pollApi, this.args.api)
  }

  async look() {
    const { sample, events } = await take(this.page)
    for (const event of events) {
      if (event.type === 'stall') this.stalls.push(event)
      print({ ...event, tab: this.index })
    }
    if (!sample) return
    this.samples.push(sample)
    if (!this.args.quiet) print({ type: 'sample', tab: this.index, ...sample, network: this.network })
  }

  /** Figures of the whole time; the delay counts from `settle` seconds after the first picture. */
  async summary() {
    const last = this.samples.at(-1)
    const shown = this.samples.find((sample) => sample.first !== null)
    const from = (shown?.wall ?? Infinity) + Number(this.args.settle) * 1000
    const counted = this.samples.filter((sample) => sample.wall >= from)
    const of = (name, share) =>
      quantile(
        counted.map((sample) => sample[name]),
        share,
      )
    return {
      tab: this.index,
      first: last?.first ?? null,
      requested: last?.requested ?? null,
      delay: { p50: of('delay', 0.5), p95: of('delay', 0.95), max: of('delay', 1) },
      latency: { p50: of('latency', 0.5), p95: of('latency', 0.95) },
      decoded: last?.decoded ?? 0,
      dropped: last?.dropped ?? 0,
      audioBytes: last?.audioBytes ?? 0,
      waits: last?.waits ?? 0,
      stalls: last?.stalls ?? 0,
      stalledMs: (last?.stalledMs ?? 0) + (last?.standing ?? 0),
      late: Math.max(0, ...this.samples.map((sample) => sample.late)),
      errors: last?.errors ?? [],
      problems: this.problems,
      network: this.network,
      api: this.args.api ? await this.page.evaluate(() => window.__api) : null,
    }
  }
}

/** What a viewer does, told by a line of input; some tell when it was. */
const acts = {
  press: (page, key) => page.keyboard.press(key),
  async click(page, selector) {
    // The controls come with the pointer.
    await page.mouse.move(200, 200)
    await page.mouse.move(220, 210)
    await page.locator(selector).first().hover({ timeout: 10_000 })
    const at = Date.now()
    await page.locator(selector).first().click({ timeout: 10_000 })
    return { at }
  },
  goto: (page, url) => page.goto(url, { waitUntil: 'commit' }),
  reload: (page) => page.reload({ waitUntil: 'commit' }),
  shot: (page, path) => page.screenshot({ path }),
  seek: (page, seconds) =>
    page
      .locator('.p-bar input[type="range"]')
      .first()
      .evaluate((bar, to) => {
        const at = Date.now()
        bar.value = String(to < 0 ? Number(bar.max) + to : to)
        bar.dispatchEvent(new Event('input', { bubbles: true }))
        bar.dispatchEvent(new Event('change', { bubbles: true }))
        return { at }
      }, Number(seconds)),
}

/** One after the other; what cannot be done is told as a problem. */
function obey(line, acting, tabs) {
  const [, verb, rest] = /^(\w+) ?(.*)$/.exec(line) ?? []
  return acting
    .then(() => acts[verb](tabs[0].page, rest))
    .then((done) => print({ type: 'did', tab: 0, text: line, at: done?.at ?? Date.now() }))
    .catch((error) => print({ type: 'problem', tab: 0, text: `${line}: ${error}`, at: Date.now() }))
}

/** Runs in the page: what else a page does beside playing. */
function pollApi(url) {
  const api = { calls: 0, failed: 0, worst: 0 }
  window.__api = api
  const ask = async () => {
    const began = performance.now()
    const ok = await fetch(url, { cache: 'no-store' }).then(
      (response) => response.text().then(() => response.ok),
      () => false,
    )
    api.calls++
    if (!ok) api.failed++
    api.worst = Math.max(api.worst, performance.now() - began)
    setTimeout(ask, 250)
  }
  void ask()
}

/** Samples all tabs until the time is over or nobody listens any more. */
async function watch(tabs, args, ended) {
  const until = Number(args.seconds) > 0 ? Date.now() + Number(args.seconds) * 1000 : Infinity
  while (Date.now() < until && !ended.value) {
    const next = Date.now() + Number(args.every)
    await Promise.all(tabs.map((tab) => tab.look()))
    await pass(Math.max(1, Math.min(next, until) - Date.now()))
  }
  await Promise.all(tabs.map((tab) => tab.look()))
}

function judge(summaries, args) {
  const wrong = []
  const bound = (name, value, ok) => {
    if (args[name] !== undefined && !ok(value, Number(args[name]))) wrong.push(`${name}: ${value}`)
  }
  for (const s of summaries) {
    bound('max-stalls', s.stalls, (value, most) => value <= most)
    bound('min-frames', s.decoded, (value, least) => value >= least)
    bound('max-delay', s.delay.p50, (value, most) => value !== null && value <= most)
    bound('max-problems', s.problems.length + s.errors.length, (value, most) => value <= most)
    if (args.audio && !s.audioBytes) wrong.push('audio: none was decoded')
  }
  return wrong
}

async function main() {
  const { values: args } = parseArgs({ options })
  if (args.help || !args.url) {
    process.stdout.write(`${help}\n`)
    return args.help ? 0 : 2
  }
  const ended = { value: false }
  let tabs = []
  let acting = Promise.resolve()
  if (!Number(args.seconds)) {
    createInterface({ input: process.stdin })
      .on('line', (line) => (acting = obey(line, acting, tabs)))
      .on('close', () => (ended.value = true))
  }
  const served = await servePlayers()
  // The level of WebRTC's sound is told of what is heard, so that page is not mute.
  const browser = await launch({
    args: args.player === 'whep' ? ['--autoplay-policy=no-user-gesture-required'] : [],
  })
  const summaries = []
  try {
    const context = await newContext(browser, args)
    const address = addressOf(served, args.player, args.url, { cap: args.cap, turn: args.turn })
    for (let join = 0; join < Number(args.joins) && !ended.value; join++) {
      tabs = Array.from({ length: Number(args.tabs) }, (_, index) => new Tab(index, args))
      await Promise.all(tabs.map((tab) => tab.open(context, address)))
      await watch(tabs, args, ended)
      for (const tab of tabs) {
        const summary = await tab.summary()
        summaries.push(summary)
        if (Number(args.joins) > 1) print({ type: 'join', ...summary })
      }
      if (args.screenshot) await tabs[0].page.screenshot({ path: args.screenshot })
      await Promise.all(tabs.map((tab) => tab.page.close()))
    }
  } finally {
    await browser.close()
    served.close()
  }
  const wrong = judge(summaries, args)
  print({ type: 'summary', tabs: summaries, wrong })
  return wrong.length ? 1 : 0
}

process.exitCode = await main()
process.stdin.destroy()
