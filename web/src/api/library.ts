import { client } from './client'
import type { LaterItem, Page, WatchedItem } from './types'

const path = (list: 'history' | 'watch-later', video: string) => `/me/${list}/${encodeURIComponent(video)}`

/** What the caller has watched, the newest first. */
export async function listHistory(cursor: string | null, signal: AbortSignal): Promise<Page<WatchedItem>> {
  return (await client.get<Page<WatchedItem>>('/me/history', { params: { cursor, limit: 24 }, signal })).data
}

export async function forgetWatched(video: string): Promise<void> {
  await client.delete(path('history', video))
}

export async function clearHistory(): Promise<void> {
  await client.delete('/me/history')
}

export async function listWatchLater(cursor: string | null, signal: AbortSignal): Promise<Page<LaterItem>> {
  return (await client.get<Page<LaterItem>>('/me/watch-later', { params: { cursor, limit: 24 }, signal }))
    .data
}

export async function addWatchLater(video: string): Promise<void> {
  await client.put(path('watch-later', video))
}

export async function removeWatchLater(video: string): Promise<void> {
  await client.delete(path('watch-later', video))
}
