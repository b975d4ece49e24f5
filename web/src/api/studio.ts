import { client } from './client'
import type { Disconnect, Health, Page, Session, Stream, StreamKey, StreamNew, StreamPatch } from './types'

const path = (stream: string) => `/streams/${encodeURIComponent(stream)}`

export async function listMyStreams(cursor: string | null, signal: AbortSignal): Promise<Page<Stream>> {
  return (await client.get<Page<Stream>>('/me/streams', { params: { cursor, limit: 30 }, signal })).data
}

/** The only answer with the stream's first key. */
export async function createStream(body: StreamNew): Promise<Stream> {
  return (await client.post<Stream>('/streams', body)).data
}

export async function updateStream(stream: string, patch: StreamPatch): Promise<Stream> {
  return (await client.patch<Stream>(path(stream), patch)).data
}

export async function deleteStream(stream: string): Promise<void> {
  await client.delete(path(stream))
}

/** A further key beside those there are. */
export async function createKey(stream: string, label: string): Promise<StreamKey> {
  return (await client.post<StreamKey>(`${path(stream)}/keys`, label ? { label } : {})).data
}

/** A new key in the place of all others. */
export async function rotateKeys(stream: string): Promise<StreamKey> {
  return (await client.post<StreamKey>(`${path(stream)}/keys/rotate`, {})).data
}

export async function deleteKey(stream: string, key: string): Promise<void> {
  await client.delete(`${path(stream)}/keys/${encodeURIComponent(key)}`)
}

export async function endBroadcast(stream: string): Promise<void> {
  await client.post(`${path(stream)}/end`)
}

export async function disableStream(stream: string, reason: string): Promise<void> {
  await client.put(`${path(stream)}/disabled`, reason ? { reason } : {})
}

export async function enableStream(stream: string): Promise<void> {
  await client.delete(`${path(stream)}/disabled`)
}

/** 409 while nothing is on air. */
export async function getHealth(stream: string, signal?: AbortSignal): Promise<Health> {
  return (await client.get<Health>(`${path(stream)}/health`, { signal })).data
}

export async function listDisconnects(stream: string, signal?: AbortSignal): Promise<Disconnect[]> {
  return (await client.get<Page<Disconnect>>(`${path(stream)}/disconnects`, { signal })).data.items
}

export async function listBroadcasts(
  stream: string,
  cursor: string | null,
  signal: AbortSignal,
): Promise<Page<Session>> {
  return (
    await client.get<Page<Session>>(`${path(stream)}/sessions`, { params: { cursor, limit: 10 }, signal })
  ).data
}
