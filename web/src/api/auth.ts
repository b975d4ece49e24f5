import { client, tokens } from './client'
import type { SignedIn } from './types'

const anybody = { signed: false }

export interface Login {
  login: string
  password: string
  totp?: string | undefined
}

/** Signs in for this browser: the refresh token goes into a cookie, and all tabs are told. */
export async function login(body: Login): Promise<SignedIn> {
  const { data } = await client.post<SignedIn>('/auth/login', { ...body, transport: 'cookie' }, anybody)
  tokens.begin(data)
  return data
}

export interface Newcomer {
  username: string
  password: string
  display_name?: string | undefined
  email?: string | undefined
  invite_code?: string | undefined
}

export async function register(body: Newcomer): Promise<SignedIn> {
  const { data } = await client.post<SignedIn>('/auth/register', { ...body, transport: 'cookie' }, anybody)
  tokens.begin(data)
  return data
}

/** Ends the session here even where the server cannot be told: it dies there when its time is over. */
export async function logout(): Promise<void> {
  await client.post('/auth/logout').catch(() => undefined)
  tokens.end()
}

export async function changePassword(current_password: string, new_password: string): Promise<void> {
  await client.post('/auth/password', { current_password, new_password })
}

/** Says nothing about whether there is such an account. */
export async function requestReset(login: string): Promise<void> {
  await client.post('/auth/password-reset/request', { login }, anybody)
}

export async function confirmReset(token: string, new_password: string): Promise<void> {
  await client.post('/auth/password-reset/confirm', { token, new_password }, anybody)
}

export async function verifyEmail(token: string): Promise<void> {
  await client.post('/auth/email/verify', { token })
}

/** Undoes the closing of an account; who it is signs in afterwards. */
export async function restoreAccount(body: Login): Promise<void> {
  await client.post('/auth/restore', body, anybody)
}
