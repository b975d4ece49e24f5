import { onScopeDispose, type Ref, ref, watch } from 'vue'
import { getSession } from '@/api/streams'
import type { Session } from '@/api/types'
import { poll } from '@/lib/poll'

export interface ReplayOptions {
  /** Milliseconds between two looks, and how many there are: a replay is there within seconds, or there is none. */
  every?: number
  looks?: number
  load?: (stream: string, session: string, signal: AbortSignal) => Promise<Pick<Session, 'replay_video_id'>>
}

/** The video in which a broadcast that is over can be watched again, once it exists. */
export function useReplay(
  slug: string,
  session: Ref<Pick<Session, 'id'> | null>,
  over: Ref<boolean>,
  options: ReplayOptions = {},
) {
  const { every = 2_000, looks = 60, load = getSession } = options
  const replay = ref<string | null>(null)
  let abortion = new AbortController()

  watch(
    [over, () => session.value?.id],
    ([ended, id]) => {
      abortion.abort()
      replay.value = null
      if (!ended || !id) return
      abortion = new AbortController()
      const looking = abortion
      let left = looks
      const look = async (signal: AbortSignal) => {
        if (--left <= 0) looking.abort()
        const video = (await load(slug, id, signal)).replay_video_id
        if (!video || replay.value) return
        replay.value = video
        looking.abort()
      }
      void poll(look, looking.signal, { every })
    },
    { immediate: true },
  )
  onScopeDispose(() => abortion.abort())
  return replay
}
