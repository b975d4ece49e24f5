// @vitest-environment jsdom
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
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
    granted: number[] = []
    private handlers = new Map<string, Handler>()

    constructor() {
      made.push(this)
    }
    on(event: string, handler: Handler) {
      this.handlers.set(event, handler)
    }
    tell(event: string) {
      this.handlers.get(event)?.(event, { levels: [] })
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

function setup() {
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
  })
  engine.start()
  const hls = made.at(-1) as InstanceType<typeof FakeHls>
  return { engine, hls, server }
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
