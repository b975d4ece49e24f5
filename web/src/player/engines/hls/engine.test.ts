// @vitest-environment jsdom
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { HlsEngine } from './engine'

type Handler = (event: string, data: unknown) => void

const { FakeHls, made } = vi.hoisted(() => {
  function level(height: number) {
    const uri = `http://h/live/a/${height}.m3u8`
    return { height, frameRate: 30, bitrate: height * 3_000, uri, loadError: 0, fragmentError: 0 }
  }

  /** hls.js as far as the choice of a level goes: it leaves a level for bandwidth's choice when that fails. */
  class FakeHls {
    static isSupported = () => true
    static Events = new Proxy({}, { get: (_, name) => name })

    levels = [level(720), level(360)]
    autoLevelEnabled = true
    loadLevel = 1
    currentLevel = 1
    url: string | null = null
    latestLevelDetails: object | null = null
    liveSyncPosition: number | null = null
    granted: number[] = []
    private handlers = new Map<string, Handler>()

    constructor() {
      made.push(this)
    }
    on(event: string, handler: Handler) {
      this.handlers.set(event, handler)
    }
    tell(event: string, data: object = { levels: [] }) {
      this.handlers.get(event)?.(event, data)
    }
    set nextLevel(index: number) {
      this.granted.push(index)
      this.autoLevelEnabled = index < 0
      if (index >= 0) this.loadLevel = this.currentLevel = index
    }
    attachMedia() {}
    loadSource(url: string) {
      this.url = url
    }
    destroy() {}

    /** What becomes of a level whose newest segment is a gap. */
    leave(index: number) {
      const blamed = this.levels[index]
      if (blamed) blamed.loadError = blamed.fragmentError = 1
      this.autoLevelEnabled = true
      this.loadLevel = this.currentLevel = index === 0 ? 1 : 0
    }
  }

  const made: FakeHls[] = []
  return { FakeHls, made }
})

vi.mock('hls.js', async (original) => ({ ...(await original<object>()), default: FakeHls }))

const segment = (gap: boolean) => `#EXTM3U\n#EXTINF:2,\n${gap ? '#EXT-X-GAP\n' : ''}a.m4s\n`

function setup(onLeft?: (date: number) => boolean) {
  const video = document.createElement('video')
  Object.assign(video, { getVideoPlaybackQuality: () => ({ totalVideoFrames: 0, droppedVideoFrames: 0 }) })
  const server = { shed: false, asked: [] as string[] }
  const fetch = async (url: string) => {
    server.asked.push(url)
    return new Response(segment(server.shed))
  }
  const engine = new HlsEngine({
    video,
    url: 'http://h/live/a/index.m3u8',
    fetch: fetch as unknown as typeof globalThis.fetch,
    now: () => Date.now(),
    onLeft,
  })
  engine.start()
  const hls = made.at(-1) as InstanceType<typeof FakeHls>
  return { engine, hls, server, video }
}

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

it('applies what the viewer chose again once a shed rung is back', async () => {
  const { engine, hls, server } = setup()
  engine.choose({ height: 720, fps: 30 })
  hls.tell('MANIFEST_PARSED')
  expect(hls.granted).toEqual([0])

  server.shed = true
  hls.leave(0)
  await vi.advanceTimersByTimeAsync(61_000)
  expect(server.asked).toEqual([hls.levels[0]?.uri, hls.levels[0]?.uri])
  expect(hls.granted).toEqual([0])
  expect(hls.loadLevel).toBe(1)

  server.shed = false
  await vi.advanceTimersByTimeAsync(30_000)
  expect(hls.levels[0]).toMatchObject({ loadError: 0, fragmentError: 0 })
  expect(hls.granted).toEqual([0, 0])
  expect(hls.loadLevel).toBe(0)
  engine.destroy()
})

it('applies what was chosen while the rung was shed, not what was before', async () => {
  const { engine, hls, server } = setup()
  engine.choose({ height: 720, fps: 30 })
  hls.tell('MANIFEST_PARSED')
  server.shed = true
  hls.leave(0)
  engine.choose('auto')
  server.shed = false
  await vi.advanceTimersByTimeAsync(31_000)
  expect(hls.levels[0]).toMatchObject({ loadError: 0 })
  expect(hls.granted).toEqual([0])
  expect(hls.autoLevelEnabled).toBe(true)
  engine.destroy()
})

describe('the live window', () => {
  const noon = Date.UTC(2026, 0, 1, 12)

  /** Twelve seconds of media from `start` on. */
  function window(start: number) {
    const fragments = Array.from({ length: 6 }, (_, i) => ({
      start: start + i * 2,
      duration: 2,
      programDateTime: noon + (start + i * 2) * 1_000,
    }))
    return { live: true, fragments, fragmentStart: start, edge: start + 12, age: 0, targetduration: 2 }
  }

  /** Plays at 18 s of a window that begins at 10 s. */
  async function playing(onLeft?: (date: number) => boolean) {
    const made = setup(onLeft)
    const element = { position: 18, paused: false }
    Object.defineProperties(made.video, {
      currentTime: { get: () => element.position, set: (to: number) => (element.position = to) },
      paused: { get: () => element.paused },
      seeking: { get: () => false },
      buffered: { get: () => ({ length: 1, start: () => 0, end: () => 100 }) },
    })
    made.hls.latestLevelDetails = window(10)
    made.hls.liveSyncPosition = 21
    await vi.advanceTimersByTimeAsync(100)
    element.position = 18.1
    await vi.advanceTimersByTimeAsync(100)
    expect(made.engine.state.phase).toBe('playing')
    return { ...made, element }
  }

  it('is sought in by programme date, and nowhere else', async () => {
    const { engine, element } = await playing()
    expect(engine.seekDate(noon + 13_000)).toBe(true)
    expect(element.position).toBe(13)
    expect(engine.isBehind).toBe(true)
    expect(engine.seekDate(noon + 10_500)).toBe(false)
    expect(element.position).toBe(13)
    expect(engine.stats().dates).toEqual({ start: noon + 10_000, end: noon + 21_000, at: noon + 18_100 })
    engine.destroy()
  })

  it.each([true, false])('has passed by who paused; taken to the DVR: %j', async (taken) => {
    const onLeft = vi.fn(() => taken)
    const { engine, hls, video, element } = await playing(onLeft)
    element.paused = true
    hls.latestLevelDetails = window(40)
    hls.liveSyncPosition = 51
    await vi.advanceTimersByTimeAsync(1_000)
    expect(onLeft).not.toHaveBeenCalled()
    element.paused = false
    video.dispatchEvent(new Event('play'))
    expect(onLeft).toHaveBeenCalledWith(noon + 18_100)
    expect(element.position).toBe(taken ? 18.1 : 51)
    engine.destroy()
  })

  it('has caught up with who watches from behind', async () => {
    const onLeft = vi.fn(() => true)
    const { engine, hls } = await playing(onLeft)
    engine.seekDate(noon + 14_000)
    await vi.advanceTimersByTimeAsync(100)
    expect(onLeft).not.toHaveBeenCalled()
    hls.latestLevelDetails = window(13.5)
    await vi.advanceTimersByTimeAsync(100)
    expect(onLeft).toHaveBeenCalledWith(noon + 14_000)
    engine.destroy()
  })
})
