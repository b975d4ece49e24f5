import { client } from './client'
import type { SiteConfig } from './types'

export async function getConfig(signal?: AbortSignal): Promise<SiteConfig> {
  const { data } = await client.get<SiteConfig>('/config', { signal, fetchOptions: { cache: 'default' } })
  return data
}
