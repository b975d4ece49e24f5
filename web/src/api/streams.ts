import { client } from './client'
import type { Stream, StreamList, StreamPlayback } from './types'

/** What is live, the most watched first; one page is what the home page shows. */
export async function listLive(signal?: AbortSignal): Promise<Stream[]> {
  const { data } = await client.get<StreamList>('/streams', {
    params: { live: true, sort: 'viewers', limit: 60 },
    signal,
  })
  return data.items
}

export async function getStream(stream: string, signal?: AbortSignal): Promise<Stream> {
  const { data } = await client.get<Stream>(`/streams/${encodeURIComponent(stream)}`, { signal })
  return data
}

/** Where and how a stream is played; valid before it is live. */
export async function getPlayback(stream: string, signal?: AbortSignal): Promise<StreamPlayback> {
  const { data } = await client.get<StreamPlayback>(`/streams/${encodeURIComponent(stream)}/playback`, {
    signal,
  })
  return data
}
