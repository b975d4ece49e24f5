import { client } from './client'
import type { ApiToken, Export, Living, NewApiToken, Own, OwnPatch, Page, SecondFactor } from './types'

export async function updateMe(patch: OwnPatch): Promise<Own> {
  return (await client.patch<Own>('/me', patch)).data
}

/** Null: an admin has to say yes first. */
export async function becomeStreamer(note: string): Promise<Own | null> {
  const { data, status } = await client.post<Own>('/me/streamer', note ? { note } : {})
  return status === 202 ? null : data
}

export async function listSessions(cursor: string | null, signal: AbortSignal): Promise<Page<Living>> {
  return (await client.get<Page<Living>>('/auth/sessions', { params: { cursor, limit: 20 }, signal })).data
}

export async function endSession(id: string): Promise<void> {
  await client.delete(`/auth/sessions/${encodeURIComponent(id)}`)
}

export async function endOtherSessions(): Promise<void> {
  await client.delete('/auth/sessions')
}

export async function listTokens(cursor: string | null, signal: AbortSignal): Promise<Page<ApiToken>> {
  return (await client.get<Page<ApiToken>>('/me/api-tokens', { params: { cursor, limit: 20 }, signal })).data
}

/** The only answer with the token itself. */
export async function createToken(body: NewApiToken): Promise<ApiToken> {
  return (await client.post<ApiToken>('/me/api-tokens', body)).data
}

export async function deleteToken(id: string): Promise<void> {
  await client.delete(`/me/api-tokens/${encodeURIComponent(id)}`)
}

/** It is asked for at logins once it is confirmed. */
export async function createSecondFactor(): Promise<SecondFactor> {
  return (await client.post<SecondFactor>('/auth/totp')).data
}

export async function confirmSecondFactor(code: string): Promise<void> {
  await client.post('/auth/totp/confirm', { code })
}

export async function deleteSecondFactor(): Promise<void> {
  await client.delete('/auth/totp')
}

/** Which of a user's two pictures. */
export type Picture = 'avatar' | 'banner'

/** The address of the picture as the server has written it anew. */
export async function setPicture(which: Picture, file: File): Promise<string> {
  const headers = { 'Content-Type': file.type }
  const { data } = await client.put<Record<string, string>>(`/me/${which}`, file, {
    headers,
    timeout: 120_000,
  })
  return data[`${which}_url`] ?? ''
}

export async function deletePicture(which: Picture): Promise<void> {
  await client.delete(`/me/${which}`)
}

export async function listExports(cursor: string | null, signal: AbortSignal): Promise<Page<Export>> {
  return (await client.get<Page<Export>>('/me/exports', { params: { cursor, limit: 10 }, signal })).data
}

/** Once a day. */
export async function createExport(): Promise<Export> {
  return (await client.post<Export>('/me/exports')).data
}

/** All sessions end; the account can be restored until the date that is returned. */
export async function closeAccount(password: string): Promise<string> {
  return (await client.delete<{ erased_at: string }>('/me', { data: { password } })).data.erased_at
}
