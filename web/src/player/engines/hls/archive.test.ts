// @vitest-environment jsdom
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { ArchiveEngine, type ArchiveOptions } from './archive'

type Handler = (event: string, data: unknown) => void

const { FakeHls, made } = vi.hoisted(() => {
  /** hls.js as far as places, ends and errors go. */
  class FakeHls {
    static isSupported = () => true
    static Events = new Proxy({}, { get: (_, name) => name })

    levels = []
    autoLevelEnabled = true
    currentLevel = -1
    url: string | null = null
    latestLevelDetails: object | null = null
    started = 0
    private handlers = new Map<string, Handler>()

    constructor(readonly config: { startPosition: number; pLoader: unknown }) {
      made.push(this)
    }
    on(event: string, handler: Handler) {
      this.handlers.set(event, handler)
    }
    tell(event: string, data: unknown = {}) {
      this.handlers.get(event)?.(event, data)
    }
    attachMedia() {}
    loadSource(url: string) {
      this.url = url
    }
    startLoad() {
      this.started++
    }
    destroy() {}
  }
  const made: FakeHls[] = []
  return { FakeHls, made }
})

vi.mock('hls.js', async (original) => ({ ...(await original<object>()), default: FakeHls }))

const noon = Date.UTC(2026, 0, 1, 12)

function setup(options: Partial<ArchiveOptions> = {}) {
  const video = document.createElement('video')
  const element = { position: 0, buffered: 0, paused: false, ended: false, frames: 0 }
  Object.defineProperties(video, {
    currentTime: { get: () => element.position, set: (to: number) => (element.position = to) },
    paused: { get: () => element.paused },
    ended: { get: () => element.ended },
    seeking: { get: () => false },
    buffered: {
      get: () => ({ length: 1, start: () => 0, end: () => element.position + element.buffered }),
    },
    getVideoPlaybackQuality: {
      value: () => ({ totalVideoFrames: element.frames, droppedVideoFrames: 0 }),
    },
  })
  const engine = new ArchiveEngine({
    video,
    url: 'http://h/live/a/dvr.m3u8',
    from: { date: noon + 10_000 },
    now: () => Date.now(),
    fetch: vi.fn() as unknown as typeof fetch,
    random: () => 0.5,
    ...options,
  })
  const phases: string[] = []
  engine.on('state', ({ phase }) => phases.push(phase))
  engine.start()
  return { engine, element, video, phases, hls: () => made.at(-1) as InstanceType<typeof FakeHls> }
}

/** Sixty seconds in segments of two. */
function details(live: boolean) {
  const fragments = Array.from({ length: 30 }, (_, i) => ({
    start: i * 2,
    duration: 2,
    programDateTime: noon + i * 2_000,
  }))
  return { live, fragments, fragmentStart: 0, edge: 60, age: 0, targetduration: 2, advanced: true }
}

/** Plays for some seconds of media that is there. */
async function play(seconds: number, element: { position: number; buffered: number }) {
  element.buffered = 10
  for (let i = 0; i < seconds * 10; i++) {
    element.position += 0.1
    await vi.advanceTimersByTimeAsync(100)
  }
}

const dvr = () => ({ onEdge: vi.fn(), onLost: vi.fn() })

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

it('begins a video at its place, and after a new source where it was', async () => {
  const { engine, element, hls } = setup({ from: { position: 90 } })
  expect(hls().config.startPosition).toBe(90)
  hls().latestLevelDetails = details(false)
  element.position = 12
  await play(1, element)
  engine.retry()
  expect(hls().config.startPosition).toBeCloseTo(13)
  engine.destroy()
})

it('plays what is over to its end, and again after a seek', async () => {
  const { engine, element, phases, hls } = setup({ dvr: dvr() })
  hls().latestLevelDetails = details(false)
  element.position = 57
  await play(2.9, element)
  element.ended = true
  await vi.advanceTimersByTimeAsync(200)
  expect(phases).toEqual(['loading', 'playing', 'ended'])
  element.ended = false
  engine.seekDate(noon + 20_000)
  expect(element.position).toBe(20)
  await play(1, element)
  expect(phases.slice(3)).toEqual(['loading', 'playing'])
  engine.destroy()
})

it('waits for a publisher who is away at the end of what there is', async () => {
  const { engine, element, phases, hls } = setup({ dvr: dvr() })
  hls().latestLevelDetails = details(true)
  element.position = 58
  await play(1, element)
  element.buffered = 0
  await vi.advanceTimersByTimeAsync(6_000)
  expect(phases).toEqual(['loading', 'playing', 'stalled', 'waiting-for-publisher'])
  hls().tell('LEVEL_LOADED', { details: { advanced: true } })
  await play(1, element)
  expect(engine.state.phase).toBe('playing')
  engine.destroy()
})

it('stays inside of what there is', () => {
  const { engine, element, hls } = setup({ dvr: dvr() })
  hls().latestLevelDetails = details(true)
  engine.seekDate(noon - 60_000)
  expect(element.position).toBe(0)
  engine.seekDate(noon + 600_000)
  expect(element.position).toBe(58)
  engine.destroy()
})

it('tells that it has caught up with the live edge', async () => {
  const watcher = dvr()
  const { engine, element, video, hls } = setup({ dvr: watcher })
  hls().latestLevelDetails = details(true)
  element.position = 57
  await play(2, element)
  expect(watcher.onEdge).not.toHaveBeenCalled()
  video.playbackRate = 2
  await vi.advanceTimersByTimeAsync(100)
  expect(watcher.onEdge).toHaveBeenCalled()
  engine.destroy()
})

it('shows what it has before it says that the DVR is lost', async () => {
  const watcher = dvr()
  const { engine, element, hls } = setup({ dvr: watcher })
  hls().latestLevelDetails = details(true)
  await play(1, element)
  const gone = { fatal: true, type: 'networkError', details: 'levelLoadError', response: { code: 404 } }
  hls().tell('ERROR', gone)
  await play(3, element)
  expect(watcher.onLost).not.toHaveBeenCalled()
  expect(hls().started).toBe(1)
  hls().tell('ERROR', gone)
  element.buffered = 0
  await vi.advanceTimersByTimeAsync(500)
  expect(watcher.onLost).toHaveBeenCalled()
  engine.destroy()
})

it('says of a video that it is gone', () => {
  const { engine, hls } = setup({ from: { position: 0 } })
  hls().tell('ERROR', {
    fatal: true,
    type: 'networkError',
    details: 'manifestLoadError',
    response: { code: 404 },
  })
  expect(engine.state).toEqual({ phase: 'failed', failure: 'gone' })
  engine.destroy()
})
