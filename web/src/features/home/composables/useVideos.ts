import { onScopeDispose, shallowRef } from 'vue'
import { listVideos } from '@/api/videos'
import type { Video } from '@/api/types'
import { poll } from '@/lib/poll'

export interface VideosOptions {
  /** Milliseconds between two looks: replays come seldom. */
  every?: number
  load?: (signal: AbortSignal) => Promise<Video[]>
}

/** The newest videos, kept fresh for as long as the component stands. */
export function useVideos(options: VideosOptions = {}) {
  const { every = 20_000, load = (signal) => listVideos({ limit: 8 }, signal) } = options
  const videos = shallowRef<Video[]>([])
  const abortion = new AbortController()
  void poll(async (signal) => void (videos.value = await load(signal)), abortion.signal, { every })
  onScopeDispose(() => abortion.abort())
  return videos
}
