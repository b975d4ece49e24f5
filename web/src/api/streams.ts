import { client } from './client'
import type { Session, SessionList, Stream, StreamList, StreamPlayback } from './types'

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

/** Broadcasts of a stream, the newest first. */
export async function listSessions(stream: string, limit: number, signal?: AbortSignal): Promise<Session[]> {
  const path = `/streams/${encodeURIComponent(stream)}/sessions`
  const { data } = await client.get<SessionList>(path, { params: { limit }, signal })
  return data.items
}

export async function getSession(stream: string, session: string, signal?: AbortSignal): Promise<Session> {
  const path = `/streams/${encodeURIComponent(stream)}/sessions/${encodeURIComponent(session)}`
  const { data } = await client.get<Session>(path, { signal })
  return data
}
