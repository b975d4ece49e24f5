import { client } from './client'
import type { Own } from './types'

/** Apart from what else there is of an account: every page asks for it. */
export async function getMe(): Promise<Own> {
  return (await client.get<Own>('/me')).data
}
