import { onScopeDispose, shallowRef } from 'vue'
import { ApiError } from '@/api/client'
import { getStream } from '@/api/streams'
import { getVideo, getVideoPlayback } from '@/api/videos'
import type { Stream, Video, VideoPlayback } from '@/api/types'

/** A video with where it is played from. `load` asks again after a failure. */
export function useVideo(id: string) {
  const video = shallowRef<Video | null>(null)
  const playback = shallowRef<VideoPlayback | null>(null)
  /** What a clip is a piece of; null: it is no clip, or that is not known. */
  const stream = shallowRef<Stream | null>(null)
  const error = shallowRef<ApiError | null>(null)
  const abortion = new AbortController()

  async function load() {
    error.value = null
    try {
      const { signal } = abortion
      const [about, where] = await Promise.all([getVideo(id, signal), getVideoPlayback(id, signal)])
      video.value = about
      playback.value = where
      const { kind, stream_id: of } = about.source
      // A stream that is gone, or that not everyone may see, leaves the clip as it is.
      if (kind === 'clip' && of) stream.value = await getStream(of, signal).catch(() => null)
    } catch (reason) {
      if (abortion.signal.aborted) return
      error.value = reason instanceof ApiError ? reason : new ApiError(0, 'unreachable', String(reason), null)
    }
  }

  void load()
  onScopeDispose(() => abortion.abort())
  return { video, playback, stream, error, load }
}
