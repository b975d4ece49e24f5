import { client } from './client'
import type { ClipNew, Video } from './types'

/** Cuts a clip out of a stream's newest broadcast; it can be played when this returns. Its ends are encoded first. */
export async function createClip(stream: string, clip: ClipNew): Promise<Video> {
  const path = `/streams/${encodeURIComponent(stream)}/clips`
  return (await client.post<Video>(path, clip, { timeout: 30_000 })).data
}
