import axios, { AxiosError, type AxiosInstance } from 'axios'

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
  ) {
    super(detail || code)
    this.name = 'ApiError'
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

client.interceptors.response.use(undefined, (error: unknown) => Promise.reject(toApiError(error)))

/** Cancelled requests stay what they are: nobody waits for them. */
export function toApiError(error: unknown): unknown {
  if (!(error instanceof AxiosError) || axios.isCancel(error)) return error
  const { response } = error
  if (!response) return new ApiError(0, 'unreachable', '', null)
  const problem = (typeof response.data === 'object' ? response.data : null) as Partial<
    Record<string, unknown>
  > | null
  const text = (value: unknown) => (typeof value === 'string' ? value : '')
  const id = text(problem?.request_id) || text(response.headers['x-request-id'])
  return new ApiError(
    response.status,
    text(problem?.code) || `http_${response.status}`,
    text(problem?.detail),
    id || null,
  )
}
