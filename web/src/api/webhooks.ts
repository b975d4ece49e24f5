import { client } from './client'
import type { Page, Webhook, WebhookChange, WebhookDelivery, WebhookNew } from './types'

const path = (id: string) => `/me/webhooks/${encodeURIComponent(id)}`

export async function listWebhooks(cursor: string | null, signal: AbortSignal): Promise<Page<Webhook>> {
  return (await client.get<Page<Webhook>>('/me/webhooks', { params: { cursor, limit: 20 }, signal })).data
}

/** The answer has the secret, as does that of `rotateSecret`; no other has. */
export async function createWebhook(body: WebhookNew): Promise<Webhook> {
  return (await client.post<Webhook>('/me/webhooks', body)).data
}

export async function updateWebhook(id: string, change: WebhookChange): Promise<Webhook> {
  return (await client.patch<Webhook>(path(id), change)).data
}

export async function deleteWebhook(id: string): Promise<void> {
  await client.delete(path(id))
}

/** For a day the old secret signs beside the new one. */
export async function rotateSecret(id: string): Promise<Webhook> {
  return (await client.post<Webhook>(`${path(id)}/rotate-secret`)).data
}

export async function testWebhook(id: string): Promise<WebhookDelivery> {
  return (await client.post<WebhookDelivery>(`${path(id)}/test`)).data
}

export async function listDeliveries(
  id: string,
  cursor: string | null,
  signal: AbortSignal,
): Promise<Page<WebhookDelivery>> {
  const config = { params: { cursor, limit: 10 }, signal }
  return (await client.get<Page<WebhookDelivery>>(`${path(id)}/deliveries`, config)).data
}

export async function retryDelivery(id: string, delivery: string): Promise<WebhookDelivery> {
  return (await client.post<WebhookDelivery>(`${path(id)}/deliveries/${encodeURIComponent(delivery)}/retry`))
    .data
}
