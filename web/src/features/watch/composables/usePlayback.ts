import { computed, onScopeDispose, type Ref, shallowRef, watch } from 'vue'
import { getPlayback } from '@/api/streams'
import type { Session, Stream, StreamPlayback } from '@/api/types'
import { useSite } from '@/app/site'
import type { Dvr } from '@/player/composables/timeline'

/**
 * How a stream can be played beside its live playlist. It is asked for after the stream itself is known, so it delays
 * no picture.
 */
export function usePlayback(slug: string, stream: Ref<Stream | null>) {
  const site = useSite()
  const playback = shallowRef<StreamPlayback | null>(null)
  /** The newest broadcast; what it was outlasts it. */
  const session = shallowRef<Session | null>(null)
  const abortion = new AbortController()
  let asking = false
  // News of the stream come every few seconds: what failed is asked again with the next.
  watch(stream, async (known) => {
    if (!known) return
    if (known.session) session.value = known.session
    void site.load()
    if (playback.value || asking) return
    asking = true
    playback.value = await getPlayback(slug, abortion.signal).catch(() => null)
    asking = false
  })
  onScopeDispose(() => abortion.abort())

  /** Address by WHEP; null where site or stream do not offer it, or as long as that is not known. */
  const whep = computed(() => (site.whep ? (playback.value?.whep_url ?? null) : null))
  const dvr = computed((): Dvr | null => {
    const { dvr_url: url, dvr_s: seconds = 0 } = playback.value ?? {}
    const startedAt = Date.parse(session.value?.started_at ?? '')
    return url && !Number.isNaN(startedAt) ? { url, seconds, startedAt } : null
  })
  return { whep, dvr, session }
}
