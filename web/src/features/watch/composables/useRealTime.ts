import { computed, onScopeDispose, type Ref, shallowRef, watch } from 'vue'
import { getPlayback } from '@/api/streams'
import type { Stream, StreamPlayback } from '@/api/types'
import { useSite } from '@/app/site'

/**
 * Address of the stream by WHEP; null where site or stream do not offer it, or as long as that is not known. It is
 * asked for after the stream itself is known, so it delays no picture.
 */
export function useRealTime(slug: string, stream: Ref<Stream | null>) {
  const site = useSite()
  const playback = shallowRef<StreamPlayback | null>(null)
  const abortion = new AbortController()
  let asking = false
  // News of the stream come every few seconds: what failed is asked again with the next.
  watch(stream, async (known) => {
    if (!known) return
    void site.load()
    if (playback.value || asking) return
    asking = true
    playback.value = await getPlayback(slug, abortion.signal).catch(() => null)
    asking = false
  })
  onScopeDispose(() => abortion.abort())
  return computed(() => (site.whep ? (playback.value?.whep_url ?? null) : null))
}
