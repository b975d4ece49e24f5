import { client } from './client'
import type { Category, Page } from './types'

/** What streams may be about, by slug. There are never more than 200. */
export async function listCategories(signal?: AbortSignal): Promise<Category[]> {
  const all: Category[] = []
  let cursor: string | null = null
  do {
    const params: Record<string, unknown> = { limit: 100, cursor }
    const { data } = await client.get<Page<Category>>('/categories', { params, signal })
    all.push(...data.items)
    cursor = data.next_cursor
  } while (cursor !== null)
  return all
}

export async function createCategory(slug: string, name: string): Promise<Category> {
  return (await client.post<Category>('/admin/categories', { slug, name })).data
}

/** `moveTo`: the slug that streams and videos get in its place, or `none`; empty: it is refused where something has it. */
export async function deleteCategory(id: string, moveTo: string): Promise<void> {
  await client.delete(`/admin/categories/${encodeURIComponent(id)}`, {
    params: moveTo ? { move_to: moveTo } : {},
  })
}
