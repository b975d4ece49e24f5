import { client } from './client'
import type { Followed, Page, Stream, User, Video } from './types'

export type Notify = 'all' | 'live' | 'none'

/** `name` without the @. */
const path = (name: string) => `/users/@${encodeURIComponent(name)}`

export async function getUser(name: string, signal?: AbortSignal): Promise<User> {
  return (await client.get<User>(path(name), { signal })).data
}

export async function listUserStreams(name: string, signal?: AbortSignal): Promise<Stream[]> {
  return (await client.get<Page<Stream>>(`${path(name)}/streams`, { params: { limit: 24 }, signal })).data
    .items
}

export async function listUserVideos(
  name: string,
  cursor: string | null,
  signal: AbortSignal,
): Promise<Page<Video>> {
  return (await client.get<Page<Video>>(`${path(name)}/videos`, { params: { cursor, limit: 12 }, signal }))
    .data
}

export async function listFollowers(
  name: string,
  cursor: string | null,
  signal: AbortSignal,
): Promise<Page<User>> {
  return (await client.get<Page<User>>(`${path(name)}/followers`, { params: { cursor, limit: 30 }, signal }))
    .data
}

export async function follow(name: string, notify: Notify): Promise<Followed> {
  return (await client.put<Followed>(`${path(name)}/follow`, { notify })).data
}

export async function unfollow(name: string): Promise<void> {
  await client.delete(`${path(name)}/follow`)
}

export async function block(name: string): Promise<void> {
  await client.put(`${path(name)}/block`)
}

export async function unblock(name: string): Promise<void> {
  await client.delete(`${path(name)}/block`)
}
