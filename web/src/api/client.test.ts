import axios, { AxiosError, type AxiosAdapter, AxiosHeaders } from 'axios'
import { describe, expect, it, vi } from 'vitest'
import { ApiError, sign } from './client'
import { Tokens } from './tokens'
import type { SignedIn } from './types'

const signedIn = (token: string) => ({ access_token: token, expires_in: 900 }) as SignedIn

interface Seen {
  url: string
  token: string | null
}
type Answer = { status: number; data?: unknown }

function setup(answer: (seen: Seen) => Answer, refresh = vi.fn(async () => signedIn('new'))) {
  const seen: Seen[] = []
  const adapter: AxiosAdapter = async (config) => {
    const token = (config.headers.get('Authorization') as string | null) ?? null
    const call = { url: config.url ?? '', token: token?.replace('Bearer ', '') ?? null }
    seen.push(call)
    const { status, data } = answer(call)
    const response = { status, data, statusText: '', headers: new AxiosHeaders(), config }
    if (status < 400) return response
    throw new AxiosError('refused', undefined, config, null, response)
  }
  const keeper = new Tokens({
    refresh,
    shared: {
      alone: (run) => run(),
      tell: () => undefined,
      listen: () => undefined,
      remembered: () => false,
      remember: () => undefined,
    },
  })
  const api = axios.create({ adapter })
  sign(api, keeper)
  return { api, keeper, seen, refresh }
}

const refusal = (status: number, code: string, more = {}): Answer => ({
  status,
  data: { code, detail: 'no', request_id: 'r-1', ...more },
})

describe('the client', () => {
  it('sends no token where nobody is signed in, nor where it is told so', async () => {
    const { api, keeper, seen } = setup(() => ({ status: 200 }))
    await api.get('/a')
    keeper.begin(signedIn('old'))
    await api.get('/b', { signed: false })
    await api.get('/c')
    expect(seen.map(({ token }) => token)).toEqual([null, null, 'old'])
  })

  it('refreshes once for requests that were refused at the same time, and sends each once more', async () => {
    const { api, keeper, seen, refresh } = setup(({ token }) =>
      token === 'old' ? refusal(401, 'token_expired') : { status: 200, data: token },
    )
    keeper.begin(signedIn('old'))
    const answers = await Promise.all(['/a', '/b', '/c'].map((url) => api.get<string>(url)))
    expect(answers.map(({ data }) => data)).toEqual(['new', 'new', 'new'])
    expect(refresh).toHaveBeenCalledTimes(1)
    expect(seen).toHaveLength(6)
  })

  it('does not try a third time', async () => {
    const { api, keeper, seen } = setup(() => refusal(401, 'token_invalid'))
    keeper.begin(signedIn('old'))
    await expect(api.get('/a')).rejects.toMatchObject({ code: 'token_invalid', requestId: 'r-1' })
    expect(seen).toHaveLength(2)
  })

  it('asks as anybody where the session is over', async () => {
    const refresh = vi.fn(() => Promise.reject(new ApiError(401, 'refresh_invalid', '', null)))
    const { api, keeper, seen } = setup(
      ({ token }) => (token ? refusal(401, 'token_invalid') : { status: 200, data: 'public' }),
      refresh,
    )
    keeper.begin(signedIn('old'))
    expect((await api.get<string>('/a')).data).toBe('public')
    expect(seen.map(({ token }) => token)).toEqual(['old', null])
  })

  it('ends the session of an account that is suspended, and says why', async () => {
    const { api, keeper } = setup(() => refusal(403, 'account_suspended', { reason: 'spam' }))
    const over = vi.fn()
    keeper.on('over', over)
    keeper.begin(signedIn('old'))
    await expect(api.get('/a')).rejects.toMatchObject({ code: 'account_suspended' })
    expect(over).toHaveBeenCalledWith(
      expect.objectContaining({ more: expect.objectContaining({ reason: 'spam' }) }),
    )
  })

  it('names the values that were refused', async () => {
    const { api } = setup(() =>
      refusal(422, 'validation_failed', {
        errors: [{ pointer: '/title', code: 'too_long', message: '', max: 120 }],
      }),
    )
    const error = await api.post('/a', {}).catch((reason: unknown) => reason as ApiError)
    expect((error as ApiError).fields).toEqual([
      { pointer: '/title', code: 'too_long', message: '', max: 120 },
    ])
  })
})
