import { inject, onBeforeUnmount, onMounted, watch } from 'vue'
import { bearer } from '@/lib/bearer'
import type { Player } from './usePlayer'
import { viewerId } from './viewer'

/** What is played: the id of a video, or the slug of a stream. */
export interface Played {
  kind: 'video' | 'stream'
  id: string
}

/** What of a player tells how it goes. */
export type Told = Pick<Player, 'state' | 'stats' | 'paused' | 'speed' | 'position' | 'way'>

export interface BeatsOptions {
  fetch?: typeof fetch
  beacon?: (url: string, body: string) => boolean
  now?: () => number
  viewer?: () => string
}

/** Milliseconds between two beats at least, however much happens: the server takes twelve a minute. */
const gap = 5_000
/** Milliseconds after which one that could not begin is tried again. */
const again = 15_000
/** Of the time between two looks no more counts as watched: a computer that slept has shown nothing. */
const longest = 90_000

/**
 * Tells the server how what is played goes: with the first picture, then each `beat_s` while it plays, soon after it pauses, stalls and
 * ends, and when the viewer leaves. It is how viewers and views are counted, and how a video goes on where it was left. What does not get
 * through is made up for by the next beat, and nothing here disturbs the player.
 *
 * `at` is where the viewer is, in seconds; null where only the element knows.
 */
export function useBeats(
  player: Told,
  played: Played,
  at: () => number | null,
  options: BeatsOptions = {},
): void {
  const { now = () => performance.now(), viewer = viewerId } = options
  const request = options.fetch ?? ((url: RequestInfo | URL, init?: RequestInit) => fetch(url, init))
  const beacon = options.beacon ?? ((url: string, body: string) => navigator.sendBeacon(url, body))
  const token = inject(bearer, async () => null)
  const { state, stats, paused, speed, position, way } = player

  const opened = now()
  let startup: number | null = null
  let url: string | null = null
  let every = 15_000
  let starting = false
  let gone = false
  /** The page was left, and may come back. */
  let left = false
  /** When it was looked at last, and when a beat was sent last. */
  let looked = opened
  let beaten = -Infinity
  let watched = 0
  let stalls = 0
  let stalled = 0
  let before: 'playing' | 'stalled' | null = null
  let timer: ReturnType<typeof setTimeout> | undefined

  function doing(): 'playing' | 'paused' | 'stalled' | 'ended' {
    const { phase } = state.value
    if (phase === 'ended' || phase === 'failed' || phase === 'idle') return 'ended'
    if (paused.value) return 'paused'
    return phase === 'playing' ? 'playing' : 'stalled'
  }

  /** Adds up what has passed since the last look. */
  function look() {
    const passed = Math.min(now() - looked, longest)
    looked = now()
    if (before === 'playing') watched += passed * speed.value
    else if (before === 'stalled') stalled += passed
    const next = doing()
    // Waiting for a publisher is nobody's connection.
    const dry = next === 'stalled' && state.value.phase !== 'waiting-for-publisher'
    if (dry && before === 'playing') stalls++
    before = next === 'playing' ? 'playing' : dry && startup !== null ? 'stalled' : null
  }

  function body(ended: boolean): string {
    look()
    const { level, latency, dropped } = stats.value ?? {}
    const whole = (value: number) => Math.max(0, Math.round(value))
    return JSON.stringify({
      position_ms: whole((at() ?? position.value) * 1_000),
      watched_ms: whole(watched),
      state: ended ? 'ended' : doing(),
      stalls,
      stall_ms: whole(stalled),
      ...(startup === null ? {} : { startup_ms: whole(startup) }),
      ...(dropped === undefined ? {} : { dropped_frames: whole(dropped) }),
      ...(way.value === 'live' && latency !== undefined && Number.isFinite(latency)
        ? { latency_ms: whole(latency * 1_000) }
        : {}),
      ...(level && level.height > 0
        ? { rendition: `${level.height}p`, bitrate_bps: whole(level.bitrate) }
        : {}),
    })
  }

  async function start() {
    if (starting || gone) return
    starting = true
    const post = (authorization: string | null) =>
      request('/api/v1/plays', {
        method: 'POST',
        headers: {
          'Content-Type': 'application/json',
          ...(authorization ? { Authorization: `Bearer ${authorization}` } : {}),
        },
        body: JSON.stringify({
          ...played,
          viewer_id: viewer(),
          player: 'mediad-web',
          ...(document.referrer ? { referrer: document.referrer.slice(0, 2_000) } : {}),
        }),
      })
    try {
      const authorization = await token().catch(() => null)
      let answer = await post(authorization)
      // Whoever is signed in no more watches as anybody.
      if (answer.status === 401 && authorization) answer = await post(null)
      if (answer.ok) {
        const made = (await answer.json()) as { play_id: string; beat_s: number }
        url = `/api/v1/plays/${made.play_id}/beats`
        every = made.beat_s * 1_000
      }
    } catch {
      // Tried again with the next beat.
    }
    starting = false
    if (gone) return leave()
    if (url) await beat()
    else schedule(again)
  }

  async function beat() {
    clearTimeout(timer)
    if (gone || startup === null) return
    if (!url) return start()
    beaten = now()
    const to = url
    schedule(doing() === 'playing' || doing() === 'stalled' ? every : null)
    try {
      const answer = await request(to, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: body(false),
        keepalive: true,
      })
      // It was silent for too long, so this is another play.
      if (answer.status === 404 && url === to) {
        url = null
        watched = stalls = stalled = 0
        if (!gone && doing() === 'playing') await start()
      }
    } catch {
      // The next one says it all.
    }
  }

  function schedule(wait: number | null) {
    clearTimeout(timer)
    if (wait !== null) timer = setTimeout(() => void beat(), wait)
  }

  /** The page may be over: only what is handed to the browser now gets out. */
  function leave() {
    clearTimeout(timer)
    if (url) beacon(url, body(true))
  }

  watch([() => state.value.phase, paused], () => {
    look()
    if (startup === null) {
      if (state.value.phase !== 'playing') return
      startup = now() - opened
    }
    schedule(Math.max(0, beaten + gap - now()))
  })
  /** A page that is left hides as well, after it has said so. */
  function hidden() {
    if (document.visibilityState === 'hidden' && url && !left) beacon(url, body(false))
  }
  function hide() {
    left = true
    leave()
  }
  /** The page is back as it was left. */
  function shown() {
    if (left) schedule(0)
    left = false
  }
  onMounted(() => {
    window.addEventListener('pagehide', hide)
    window.addEventListener('pageshow', shown)
    document.addEventListener('visibilitychange', hidden)
  })
  onBeforeUnmount(() => {
    window.removeEventListener('pagehide', hide)
    window.removeEventListener('pageshow', shown)
    document.removeEventListener('visibilitychange', hidden)
    leave()
    gone = true
  })
}
