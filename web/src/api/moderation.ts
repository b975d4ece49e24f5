import { client } from './client'
import type { Suspension } from './types'

/** `user`: an id, or @ and the name. */
const path = (user: string) => `/users/${encodeURIComponent(user)}/suspension`

export async function getSuspension(user: string, signal?: AbortSignal): Promise<Suspension> {
  return (await client.get<Suspension>(path(user), { signal })).data
}

/** `until` null: for good. */
export async function suspendUser(user: string, reason: string, until: string | null): Promise<void> {
  await client.put(path(user), { reason, ...(until ? { until } : {}) })
}

export async function releaseUser(user: string): Promise<void> {
  await client.delete(path(user))
}
