import { client } from './client'
import type { Alert, Job, Overview, Page, ServerKey, SiteSetting, SiteSettingsPatch } from './types'

export async function getOverview(signal?: AbortSignal): Promise<Overview> {
  return (await client.get<Overview>('/admin/overview', { signal })).data
}

/** What the server's own rules find wrong, or did; `state` empty: both. */
export async function listAlerts(
  state: string,
  cursor: string | null,
  signal: AbortSignal,
): Promise<Page<Alert>> {
  const params = { ...(state ? { state } : {}), cursor, limit: 25 }
  return (await client.get<Page<Alert>>('/admin/alerts', { params, signal })).data
}

/** Notes that it was seen, and by whom. */
export async function ackAlert(id: string): Promise<Alert> {
  return (await client.post<Alert>(`/admin/alerts/${encodeURIComponent(id)}/ack`)).data
}

export interface JobFilter {
  kind?: string | undefined
  state?: string | undefined
}

const job = (id: string) => `/admin/jobs/${encodeURIComponent(id)}`

export async function listJobs(
  filter: JobFilter,
  cursor: string | null,
  signal: AbortSignal,
): Promise<Page<Job>> {
  const params = { ...filter, cursor, limit: 25 }
  return (await client.get<Page<Job>>('/admin/jobs', { params, signal })).data
}

export async function getJob(id: string, signal?: AbortSignal): Promise<Job> {
  return (await client.get<Job>(job(id), { signal })).data
}

/** Runs it now, with at least one more attempt. */
export async function retryJob(id: string): Promise<Job> {
  return (await client.post<Job>(`${job(id)}/retry`)).data
}

/** One that runs is told to stop. */
export async function cancelJob(id: string): Promise<Job> {
  return (await client.post<Job>(`${job(id)}/cancel`)).data
}

/** 1 goes first, 4 last. */
export async function moveJob(id: string, priority: number): Promise<Job> {
  return (await client.patch<Job>(job(id), { priority })).data
}

/** Deletes now what is due: the job that does, or that does already. */
export async function sweepSite(): Promise<Job> {
  return (await client.post<Job>('/admin/sweep')).data
}

/** Backs the site up on its node: the job that does, or that does already. */
export async function backUpSite(): Promise<Job> {
  return (await client.post<Job>('/admin/backup')).data
}

/** The settings as they were at one moment, which `etag` names. */
export interface SiteSettings {
  items: SiteSetting[]
  etag: string
}

export async function getSiteSettings(signal?: AbortSignal): Promise<SiteSettings> {
  const { data, headers } = await client.get<{ items: SiteSetting[] }>('/admin/settings', { signal })
  return { items: data.items, etag: String(headers.etag ?? '') }
}

/** 412 where somebody has changed them since `etag`. A value that is null is taken back to what the configuration says. */
export async function updateSiteSettings(etag: string, patch: SiteSettingsPatch): Promise<SiteSettings> {
  const { data, headers } = await client.patch<{ items: SiteSetting[] }>('/admin/settings', patch, {
    headers: { 'If-Match': etag },
  })
  return { items: data.items, etag: String(headers.etag ?? '') }
}

export async function listServerKeys(cursor: string | null, signal: AbortSignal): Promise<Page<ServerKey>> {
  return (await client.get<Page<ServerKey>>('/admin/server-keys', { params: { cursor, limit: 25 }, signal }))
    .data
}

/** The only answer with the secret. */
export async function createServerKey(label: string): Promise<ServerKey> {
  return (await client.post<ServerKey>('/admin/server-keys', { label })).data
}

export async function deleteServerKey(id: string): Promise<void> {
  await client.delete(`/admin/server-keys/${encodeURIComponent(id)}`)
}
