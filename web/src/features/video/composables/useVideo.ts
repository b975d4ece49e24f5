import { onScopeDispose, shallowRef } from 'vue'
import { ApiError } from '@/api/client'
import { getVideo, getVideoPlayback } from '@/api/videos'
import type { Video, VideoPlayback } from '@/api/types'

/** A video with where it is played from. `load` asks again after a failure. */
export function useVideo(id: string) {
  const video = shallowRef<Video | null>(null)
  const playback = shallowRef<VideoPlayback | null>(null)
  const error = shallowRef<ApiError | null>(null)
  const abortion = new AbortController()

  async function load() {
    error.value = null
    try {
      const { signal } = abortion
      const [about, where] = await Promise.all([getVideo(id, signal), getVideoPlayback(id, signal)])
      video.value = about
      playback.value = where
    } catch (reason) {
      if (abortion.signal.aborted) return
      error.value = reason instanceof ApiError ? reason : new ApiError(0, 'unreachable', String(reason), null)
    }
  }

  void load()
  onScopeDispose(() => abortion.abort())
  return { video, playback, error, load }
}
