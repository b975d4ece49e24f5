// @vitest-environment jsdom
import { mount } from '@vue/test-utils'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { defineComponent, h, ref, shallowRef } from 'vue'
import { bearer } from '@/lib/bearer'
import type { Stats } from '../engines/engine'
import { type EngineState, idle, type Phase } from '../engines/states'
import type { Way } from './timeline'
import { useBeats } from './useBeats'
import { viewerId } from './viewer'

const second = 1_000
const id = '0198f2a0-0000-7000-8000-000000000031'
const viewer = '7d4f0a52-6b0e-4c36-9c1f-2d3b5a1e8f10'

interface Call {
  url: string
  body: Record<string, unknown>
  headers: Record<string, string>
  beacon: boolean
}

/** A player, and a server that remembers what it is told. */
function watching(token?: string) {
  const calls: Call[] = []
  let plays = 0
  const answers: number[] = []
  const player = {
    state: shallowRef<EngineState>(idle),
    stats: shallowRef<Stats | null>(null),
    paused: ref(false),
    speed: ref(1),
    position: ref(0),
    way: ref<Way>('video'),
  }
  const at = ref<number | null>(null)
  async function fetch(url: RequestInfo | URL, init?: RequestInit) {
    const text = typeof init?.body === 'string' ? init.body : ''
    const headers = (init?.headers ?? {}) as Record<string, string>
    calls.push({ url: url as string, body: JSON.parse(text) as Call['body'], headers, beacon: false })
    const status = answers.shift() ?? (url === '/api/v1/plays' ? 201 : 204)
    if (status === 0) throw new TypeError('no network')
    if (status === 201)
      return new Response(JSON.stringify({ play_id: `play${++plays}`, beat_s: 15 }), { status })
    return new Response(status === 204 ? null : '{}', { status })
  }
  const beacon = (url: string, text: string) => {
    calls.push({ url, body: JSON.parse(text) as Call['body'], headers: {}, beacon: true })
    return true
  }
  const page = mount(
    defineComponent({
      setup() {
        useBeats(player, { kind: 'video', id }, () => at.value, {
          fetch,
          beacon,
          now: () => Date.now(),
          viewer: () => viewer,
        })
        return () => h('div')
      },
    }),
    token === undefined ? {} : { global: { provide: { [bearer as symbol]: async () => token } } },
  )
  return {
    player,
    page,
    at,
    answers,
    /** What was told since this was asked last. */
    told: () => calls.splice(0),
    async phase(phase: Exclude<Phase, 'waiting-for-publisher' | 'failed'>) {
      player.state.value = { phase }
      await vi.advanceTimersByTimeAsync(0)
    },
    pass: (ms: number) => vi.advanceTimersByTimeAsync(ms),
  }
}

describe('beats', () => {
  beforeEach(() => vi.useFakeTimers())
  afterEach(() => vi.useRealTimers())

  it('begin with the first picture', async () => {
    const { phase, pass, told, at } = watching()
    await phase('loading')
    await pass(300)
    expect(told()).toEqual([])
    at.value = 12.3456
    await phase('playing')
    const [start, beat, ...more] = told()
    expect(start?.url).toBe('/api/v1/plays')
    expect(start?.body).toEqual({ kind: 'video', id, viewer_id: viewer, player: 'mediad-web' })
    expect(start?.headers).not.toHaveProperty('Authorization')
    expect(beat?.url).toBe('/api/v1/plays/play1/beats')
    expect(beat?.body).toEqual({
      position_ms: 12_346,
      watched_ms: 0,
      state: 'playing',
      stalls: 0,
      stall_ms: 0,
      startup_ms: 300,
    })
    expect(more).toEqual([])
  })

  it('go on, and say what was watched since the beginning', async () => {
    const { phase, pass, told, player } = watching()
    await phase('playing')
    told()
    player.way.value = 'live'
    player.stats.value = {
      latency: 0.95,
      dropped: 3,
      level: { width: 1280, height: 720, fps: 30, bitrate: 2_500_000, codecs: '' },
    } as Stats
    await pass(15 * second)
    player.speed.value = 2
    await pass(15 * second)
    const [first, next] = told()
    expect(first?.body).toMatchObject({
      watched_ms: 15_000,
      latency_ms: 950,
      dropped_frames: 3,
      rendition: '720p',
      bitrate_bps: 2_500_000,
    })
    // The speed was another since the last look, which is all that can be known.
    expect(next?.body).toMatchObject({ watched_ms: 45_000 })
  })

  it('tell of a pause soon, and then nothing until it is over', async () => {
    const { phase, pass, told, player } = watching()
    await phase('playing')
    told()
    await pass(2 * second)
    player.paused.value = true
    await pass(3 * second)
    expect(told().map((call) => call.body)).toMatchObject([{ state: 'paused', watched_ms: 2_000 }])
    await pass(600 * second)
    expect(told()).toEqual([])
    player.paused.value = false
    await pass(0)
    expect(told().map((call) => call.body)).toMatchObject([{ state: 'playing', watched_ms: 2_000 }])
  })

  it('count stalls, and are never more than twelve a minute', async () => {
    const { phase, pass, told } = watching()
    await phase('playing')
    told()
    for (let i = 0; i < 60; i++) {
      await phase('stalled')
      await pass(400)
      await phase('playing')
      await pass(600)
    }
    const beats = told()
    expect(beats.length).toBeLessThanOrEqual(12)
    expect(beats.at(-1)?.body).toMatchObject({ stalls: 60 })
    await pass(15 * second)
    expect(told().at(-1)?.body).toMatchObject({ stalls: 60, stall_ms: 24_000 })
  })

  it('tell of the end, and when the viewer leaves', async () => {
    const { phase, pass, told, page } = watching()
    await phase('playing')
    await pass(10 * second)
    told()
    window.dispatchEvent(new Event('pagehide'))
    expect(told()).toMatchObject([
      { beacon: true, url: '/api/v1/plays/play1/beats', body: { state: 'ended', watched_ms: 10_000 } },
    ])
    // Browsers hide a page after that, which must not say that it plays.
    const visibility = vi.spyOn(document, 'visibilityState', 'get').mockReturnValue('hidden')
    document.dispatchEvent(new Event('visibilitychange'))
    await pass(60 * second)
    expect(told()).toEqual([])
    window.dispatchEvent(new Event('pageshow'))
    await pass(0)
    expect(told()).toMatchObject([{ beacon: false, body: { state: 'playing' } }])
    document.dispatchEvent(new Event('visibilitychange'))
    expect(told()).toMatchObject([{ beacon: true, body: { state: 'playing' } }])
    visibility.mockReturnValue('visible')
    await phase('ended')
    await pass(60 * second)
    expect(told()).toMatchObject([{ beacon: false, body: { state: 'ended' } }])
    page.unmount()
    expect(told()).toMatchObject([{ beacon: true, body: { state: 'ended' } }])
    await pass(60 * second)
    window.dispatchEvent(new Event('pagehide'))
    expect(told()).toEqual([])
  })

  it('begin another play where the server knows this one no more', async () => {
    const { phase, pass, told, answers } = watching()
    await phase('playing')
    told()
    answers.push(404)
    await pass(15 * second)
    expect(told().map((call) => call.url)).toEqual([
      '/api/v1/plays/play1/beats',
      '/api/v1/plays',
      '/api/v1/plays/play2/beats',
    ])
    await pass(15 * second)
    expect(told()).toMatchObject([{ url: '/api/v1/plays/play2/beats', body: { watched_ms: 15_000 } }])
  })

  it('make up for what did not get through', async () => {
    const { phase, pass, told, answers } = watching()
    answers.push(0, 503)
    await phase('playing')
    await pass(30 * second)
    expect(told().map((call) => call.url)).toEqual([
      '/api/v1/plays',
      '/api/v1/plays',
      '/api/v1/plays',
      '/api/v1/plays/play1/beats',
    ])
    answers.push(0)
    await pass(30 * second)
    expect(told().at(-1)?.body).toMatchObject({ watched_ms: 60_000 })
  })

  it('say who is signed in, and else that somebody watches', async () => {
    const { phase, told, answers } = watching('token')
    answers.push(401)
    await phase('playing')
    const [first, second] = told()
    expect(first?.headers.Authorization).toBe('Bearer token')
    expect(second?.url).toBe('/api/v1/plays')
    expect(second?.headers).not.toHaveProperty('Authorization')
  })
})

describe('the name of a viewer', () => {
  it('is made once, and kept', () => {
    const kept = new Map<string, string>()
    const storage = {
      getItem: (key: string) => kept.get(key) ?? null,
      setItem: (key: string, value: string) => void kept.set(key, value),
    }
    const made = viewerId(storage)
    expect(made).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    expect(viewerId(storage)).toBe(made)
    kept.set('mediad.viewer', '"><script>')
    expect(viewerId(storage)).not.toContain('script')
    expect(viewerId(null)).not.toBe(viewerId(null))
  })
})
