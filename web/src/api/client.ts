import axios, { AxiosError, type AxiosInstance, type InternalAxiosRequestConfig } from 'axios'
import { Tokens } from './tokens'
import type { FieldProblem, Problem, SignedIn } from './types'

declare module 'axios' {
  interface AxiosRequestConfig {
    /** False: it is sent without the access token, as it is asked by whoever has none. */
    signed?: boolean
    /** It has been sent before, with a token that was refused. */
    again?: boolean
  }
}

/** A refusal of the API (RFC 9457), or the lack of any answer: then `code` is `unreachable` and `status` 0. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    /** Stable name of the reason. */
    readonly code: string,
    /** A sentence for people, in English. */
    readonly detail: string,
    /** Names the request in the server's log. */
    readonly requestId: string | null,
    /** What else the refusal names; empty for most. */
    readonly more: Partial<Problem> = {},
  ) {
    super(detail || code)
    this.name = 'ApiError'
  }

  /** The values that are not allowed, by their JSON pointers. */
  get fields(): readonly FieldProblem[] {
    return this.more.errors ?? []
  }
}

/** The one way to the API. Reads are never served from the browser's cache without asking the server. */
export const client: AxiosInstance = axios.create({
  baseURL: '/api/v1',
  timeout: 10_000,
  adapter: 'fetch',
  fetchOptions: { cache: 'no-cache' },
  headers: { Accept: 'application/json' },
})

/** Who is signed in, for all requests and tabs. */
export const tokens = new Tokens({
  refresh: async () => {
    const headers = { 'X-Mediad-Csrf': '1' }
    return (await client.post<SignedIn>('/auth/refresh', undefined, { signed: false, headers })).data
  },
})

sign(client, tokens)

/** Sends the access token with each request, and a request once more that was refused for a token that is no longer good. */
export function sign(api: AxiosInstance, keeper: Tokens): void {
  const sent = new WeakMap<object, string>()
  api.interceptors.request.use(async (config) => {
    config.headers.delete('Authorization')
    const token = config.signed === false ? null : await keeper.usable()
    if (token) {
      config.headers.set('Authorization', `Bearer ${token}`)
      sent.set(config, token)
    }
    return config
  })
  api.interceptors.response.use(undefined, async (error: unknown) => {
    if (error instanceof AxiosError && error.response?.data instanceof Blob) {
      error.response.data = await readProblem(error.response.data)
    }
    const reason = toApiError(error)
    const config =
      error instanceof AxiosError ? (error.config as InternalAxiosRequestConfig | undefined) : undefined
    const token = config && sent.get(config)
    if (!(reason instanceof ApiError) || !config || !token) return Promise.reject(reason)
    if (reason.code === 'token_expired' || reason.code === 'token_invalid') {
      if (config.again) return Promise.reject(reason)
      // Where the session is over it is asked again as anybody: what is public stays so.
      await keeper.renew(token)
      return api.request({ ...config, again: true })
    }
    if (reason.code === 'account_suspended') keeper.end(reason)
    if (reason.code === 'password_change_required') keeper.demandPassword()
    return Promise.reject(reason)
  })
}

/** What is asked for as a file is refused as one. Null: it is no JSON. */
async function readProblem(file: Blob): Promise<unknown> {
  try {
    return JSON.parse(await file.text())
  } catch {
    return null
  }
}

/** Cancelled requests stay what they are: nobody waits for them. */
export function toApiError(error: unknown): unknown {
  if (!(error instanceof AxiosError) || axios.isCancel(error)) return error
  const { response } = error
  if (!response) return new ApiError(0, 'unreachable', '', null)
  const problem = (typeof response.data === 'object' ? response.data : null) as Partial<Problem> | null
  const text = (value: unknown) => (typeof value === 'string' ? value : '')
  const id = text(problem?.request_id) || text(response.headers['x-request-id'])
  return new ApiError(
    response.status,
    text(problem?.code) || `http_${response.status}`,
    text(problem?.detail),
    id || null,
    problem ?? {},
  )
}

/** What a failed call is shown as, whatever it threw. */
export function asApiError(error: unknown): ApiError {
  return error instanceof ApiError ? error : new ApiError(0, 'unexpected', String(error), null)
}
