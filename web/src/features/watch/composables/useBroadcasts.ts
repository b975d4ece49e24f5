import { onScopeDispose, type Ref, shallowRef, watch } from 'vue'
import { listSessions } from '@/api/streams'
import { listVideos } from '@/api/videos'
import type { Session, Stream, Video } from '@/api/types'
import { pause } from '@/lib/backoff'

/** A broadcast that can be watched again. */
export interface Broadcast {
  session: Session
  video: string
  /** What is told of that video, where everyone may find it. */
  about: Video | null
}

export interface BroadcastsOptions {
  /** Milliseconds until the first look: it waits for the picture, where one is to come. */
  after?: number
  sessions?: typeof listSessions
  videos?: typeof listVideos
}

/** What a stream has sent before, the newest first; looked for again when there is `news`, or more is known of the stream. */
export function useBroadcasts(
  slug: string,
  stream: Ref<Pick<Stream, 'id' | 'session'> | null>,
  news: Ref<unknown>,
  options: BroadcastsOptions = {},
) {
  const { after = 3_000, sessions: list = listSessions, videos: find = listVideos } = options
  const broadcasts = shallowRef<Broadcast[]>([])
  let abortion = new AbortController()
  let waited = false

  async function load(delay: number) {
    abortion.abort()
    abortion = new AbortController()
    const { signal } = abortion
    await pause(delay, signal)
    try {
      signal.throwIfAborted()
      waited = true
      const sessions = (await list(slug, 24, signal)).filter(({ replay_video_id: id }) => id)
      // Titles and pictures are the videos'; without them the list stands.
      const id = stream.value?.id
      const videos =
        id && sessions.length ? await find({ stream: id, limit: 48 }, signal).catch(() => []) : []
      const about = new Map(videos.map((video) => [video.id, video]))
      broadcasts.value = sessions.slice(0, 12).map((session) => {
        const video = session.replay_video_id ?? ''
        return { session, video, about: about.get(video) ?? null }
      })
    } catch {
      // A stream that is not known has no past, and what cannot be asked for is not shown.
    }
  }

  void load(after)
  watch([news, () => stream.value?.id], () => waited && void load(0))
  // Without a broadcast no picture is to come.
  watch(
    stream,
    (known) => {
      if (waited || !known || known.session) return
      waited = true
      void load(0)
    },
    { immediate: true },
  )
  onScopeDispose(() => abortion.abort())
  return broadcasts
}
