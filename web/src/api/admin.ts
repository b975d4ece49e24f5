import { client } from './client'
import type {
  AdminChange,
  AdminEntry,
  AdminInvite,
  AdminMade,
  AdminNewUser,
  AdminStream,
  AdminUser,
  Page,
} from './types'

const path = (user: string) => `/admin/users/${encodeURIComponent(user)}`

export interface UserFilter {
  q?: string | undefined
  role?: string | undefined
  state?: string | undefined
}

export async function listUsers(
  filter: UserFilter,
  cursor: string | null,
  signal: AbortSignal,
): Promise<Page<AdminUser>> {
  const params = { ...filter, cursor, limit: 25 }
  return (await client.get<Page<AdminUser>>('/admin/users', { params, signal })).data
}

/** Who waits to be made a streamer, the longest first. The role that an admin gives them ends the wait. */
export async function listRequests(cursor: string | null, signal: AbortSignal): Promise<Page<AdminUser>> {
  const params = { requested: true, cursor, limit: 25 }
  return (await client.get<Page<AdminUser>>('/admin/users', { params, signal })).data
}

/** The only answer with the one-time password, where none was given. */
export async function createUser(body: AdminNewUser): Promise<AdminMade> {
  return (await client.post<AdminMade>('/admin/users', body)).data
}

/** A user as they are now, by their id, and the name of that version. The version is never newer than what is told. */
export async function lookUpUser(id: string): Promise<{ user: AdminUser | null; etag: string }> {
  const { headers } = await client.get(`/users/${encodeURIComponent(id)}`)
  const { data } = await client.get<Page<AdminUser>>('/admin/users', { params: { q: id, limit: 1 } })
  return { user: data.items.find((user) => user.id === id) ?? null, etag: String(headers.etag ?? '') }
}

/** `etag`: 412 where the user has changed since then. */
export async function changeUser(user: string, change: AdminChange, etag?: string): Promise<AdminUser> {
  const headers = etag ? { 'If-Match': etag } : {}
  return (await client.patch<AdminUser>(path(user), change, { headers })).data
}

/** Ends all sessions of a user. */
export async function signOutUser(user: string): Promise<void> {
  await client.post(`${path(user)}/logout`)
}

/** Address of a page that sets a new password; good once. */
export async function makeResetLink(user: string): Promise<{ url: string; expires_at: string }> {
  return (await client.post<{ url: string; expires_at: string }>(`${path(user)}/password-reset`)).data
}

export async function reveal(user: string, field: string, reason: string): Promise<string | null> {
  const params = { field, reason }
  return (await client.get<{ value: string | null }>(`${path(user)}/reveal`, { params })).data.value
}

export async function listInvites(cursor: string | null, signal: AbortSignal): Promise<Page<AdminInvite>> {
  return (await client.get<Page<AdminInvite>>('/admin/invites', { params: { cursor, limit: 25 }, signal }))
    .data
}

/** The only answer with the code. */
export async function createInvite(uses: number, expires_at: string | null): Promise<AdminInvite> {
  return (await client.post<AdminInvite>('/admin/invites', { uses, ...(expires_at ? { expires_at } : {}) }))
    .data
}

export async function deleteInvite(id: string): Promise<void> {
  await client.delete(`/admin/invites/${encodeURIComponent(id)}`)
}

export interface AuditFilter {
  actor?: string | undefined
  action?: string | undefined
  target?: string | undefined
  outcome?: string | undefined
}

export async function listAudit(
  filter: AuditFilter,
  cursor: string | null,
  signal: AbortSignal,
): Promise<Page<AdminEntry>> {
  const params = { ...filter, cursor, limit: 25 }
  return (await client.get<Page<AdminEntry>>('/admin/audit', { params, signal })).data
}

/** All entries of the filter as a file, one a line. It takes as long as it takes: the log of years is large. */
export async function exportAudit(filter: AuditFilter): Promise<Blob> {
  const options = { params: filter, responseType: 'blob', timeout: 0 } as const
  return (await client.get<Blob>('/admin/audit.ndjson', options)).data
}

/** All streams, hidden ones as well; `state` empty: in any. */
export async function listAllStreams(
  state: string,
  cursor: string | null,
  signal: AbortSignal,
): Promise<Page<AdminStream>> {
  const params = { ...(state ? { state } : {}), cursor, limit: 25 }
  return (await client.get<Page<AdminStream>>('/admin/streams', { params, signal })).data
}

/** Ends a broadcast; its publisher may begin another. */
export async function kickStream(stream: string): Promise<void> {
  await client.post(`/admin/streams/${encodeURIComponent(stream)}/kick`)
}
