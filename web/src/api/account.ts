import { client } from './client'
import type { ApiToken, Living, NewApiToken, Own, OwnPatch, Page, SecondFactor } from './types'

export async function getMe(): Promise<Own> {
  return (await client.get<Own>('/me')).data
}

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
