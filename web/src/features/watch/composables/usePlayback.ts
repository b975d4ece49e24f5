import { computed, onScopeDispose, type Ref, shallowRef, watch } from 'vue'
import { getPlayback } from '@/api/streams'
import type { Session, Stream, StreamPlayback } from '@/api/types'
import { useSite } from '@/app/site'
import type { Dvr } from '@/player/composables/timeline'

export interface PlaybackOptions {
  load?: (stream: string, signal: AbortSignal) => Promise<StreamPlayback>
  now?: () => number
}

/** Milliseconds between two questions for an address in the place of one that media refuses. */
const renewEvery = 3_000

/**
 * How a stream can be played. It is asked for after the stream itself is known, so it delays no picture: what everybody
 * may watch is at an address that is known before.
 */
export function usePlayback(
  slug: string,
  stream: Ref<Stream | null>,
  caller: () => string | undefined,
  options: PlaybackOptions = {},
) {
  const { load = getPlayback, now = () => performance.now() } = options
  const site = useSite()
  const playback = shallowRef<StreamPlayback | null>(null)
  /** The newest broadcast; what it was outlasts it. */
  const session = shallowRef<Session | null>(null)
  const abortion = new AbortController()
  let asking = false
  let askedAt = -Infinity

  async function ask() {
    if (asking) return
    asking = true
    askedAt = now()
    playback.value = await load(slug, abortion.signal).catch(() => null)
    asking = false
  }

  // News of the stream come every few seconds: what failed is asked again with the next.
  watch(stream, (known) => {
    if (!known) return
    if (known.session) session.value = known.session
    void site.load()
    if (!playback.value) void ask()
  })
  // Who is asking changes what they are given.
  watch(caller, () => void ask())
  onScopeDispose(() => abortion.abort())

  const plain = `/live/${encodeURIComponent(slug)}/index.m3u8`
  /** Multivariant playlist; with a token in its path where not everybody may watch. */
  const src = computed(() => (playback.value?.playback_token ? playback.value.hls_url : plain))
  /** Address by WHEP; null where site or stream do not offer it, or as long as that is not known. */
  const whep = computed(() => (site.whep ? (playback.value?.whep_url ?? null) : null))
  const dvr = computed((): Dvr | null => {
    const { dvr_url: url, dvr_s: seconds = 0 } = playback.value ?? {}
    const startedAt = Date.parse(session.value?.started_at ?? '')
    return url && !Number.isNaN(startedAt) ? { url, seconds, startedAt } : null
  })
  /** Media refuses what was given: who may watch has changed, or the token's time is over. */
  function renew() {
    if (now() - askedAt >= renewEvery) void ask()
  }
  return { src, whep, dvr, session, renew }
}
