import { client } from './client'
import type { Video, VideoList, VideoPlayback } from './types'

export interface VideoFilter {
  limit: number
  /** Id of the stream that they are of. */
  stream?: string
}

/** Videos that everyone may find, the newest first. */
export async function listVideos(filter: VideoFilter, signal?: AbortSignal): Promise<Video[]> {
  const { data } = await client.get<VideoList>('/videos', { params: { ...filter, sort: 'newest' }, signal })
  return data.items
}

export async function getVideo(video: string, signal?: AbortSignal): Promise<Video> {
  const { data } = await client.get<Video>(`/videos/${encodeURIComponent(video)}`, { signal })
  return data
}

/** Where a video is played from. */
export async function getVideoPlayback(video: string, signal?: AbortSignal): Promise<VideoPlayback> {
  const { data } = await client.get<VideoPlayback>(`/videos/${encodeURIComponent(video)}/playback`, {
    signal,
  })
  return data
}
