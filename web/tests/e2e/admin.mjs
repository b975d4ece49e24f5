// Runs a site by its pages, as an admin and a moderator do:
//
//   node web/tests/e2e/admin.mjs --url http://host --admin boss:PASSWORD --moderator mod:PASSWORD --user bert:PASSWORD --stream SLUG
//
// SLUG is on air. Says each step on standard error and exits with 1 at the first that goes wrong; a problem of any page is one.
import { readFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { launch, newContext, open, waitFor } from './lib.mjs'

const { values: args } = parseArgs({
  options: Object.fromEntries(
    ['url', 'admin', 'moderator', 'user', 'stream'].map((name) => [name, { type: 'string' }]),
  ),
})
const [nameOf, passwordOf] = [0, 1].map((i) => (who) => args[who].split(/:(.*)/)[i])

/** What browsers tell of refusals that are part of the walk. */
const expected = /Failed to load resource: .*(401|403|404|409|412|422)/

function check(holds, what) {
  if (!holds) throw new Error(`not so: ${what}`)
}

/** A call to the API, as somebody else makes it meanwhile. */
async function call(token, method, path, body, headers = {}) {
  const answer = await fetch(`${args.url}/api/v1${path}`, {
    method,
    headers: {
      ...(token ? { Authorization: `Bearer ${token}` } : {}),
      ...(body ? { 'Content-Type': 'application/json' } : {}),
      ...headers,
    },
    body: body && JSON.stringify(body),
  })
  const text = await answer.text()
  return { status: answer.status, etag: answer.headers.get('etag'), data: text ? JSON.parse(text) : null }
}

const tokenOf = async (who) =>
  (await call(null, 'POST', '/auth/login', { login: nameOf(who), password: passwordOf(who) })).data
    .access_token

async function signIn(context, who, path, hear) {
  const page = await open(context, `${args.url}/login?to=${path}`, hear)
  await page.fill('[name=username]', nameOf(who))
  await page.fill('[name=password]', passwordOf(who))
  await page.keyboard.press('Enter')
  await page.waitForURL(`**${path}`)
  return page
}

async function overview(page) {
  await page.waitForSelector('[data-overview] [data-node] dd')
  const first = await page.locator('[data-overview] [data-node] dd').first().innerText()
  // It changes by itself: the node runs for longer.
  await waitFor(
    async () => (await page.locator('[data-overview] [data-node] dd').first().innerText()) !== first,
    { what: 'a fresh overview' },
  )
}

async function settings(page, boss) {
  await page.goto(`${args.url}/admin/settings`)
  await page.selectOption('[name="auth.streamer_approval"]', 'manual')
  const { etag } = await call(boss, 'GET', '/admin/settings')
  const other = await call(
    boss,
    'PATCH',
    '/admin/settings',
    { 'limits.live_sessions': 7 },
    { 'If-Match': etag },
  )
  check(other.status === 200, `another admin's change is ${other.status}`)
  await page.click('[data-save]')
  const told = await page.locator('[data-conflicts]').innerText()
  check(/Broadcasts at a time/.test(told) && /“7”/.test(told), `what has changed is told: ${told}`)
  check((await page.inputValue('[name="limits.live_sessions"]')) === '7', 'the field shows what is there now')
  check((await page.inputValue('[name="auth.streamer_approval"]')) === 'manual', 'what was chosen stays')
  await page.click('[data-save]')
  await page.locator('[data-settings] [role=status]').filter({ hasText: 'Saved' }).waitFor()
  const now = async () =>
    Object.fromEntries(
      (await call(boss, 'GET', '/admin/settings')).data.items.map(({ key, value }) => [key, value]),
    )
  const saved = await now()
  check(saved['auth.streamer_approval'] === 'manual' && saved['limits.live_sessions'] === 7, 'both are saved')
  await page.click('[data-setting="limits.live_sessions"] [data-take-back]')
  await page.click('dialog[open] [data-confirm]')
  await waitFor(async () => (await now())['limits.live_sessions'] === 0, {
    what: 'the value that was before',
  })
}

async function requests(page, boss) {
  const me = async () => (await call(await tokenOf('user'), 'GET', '/me')).data
  const row = page.locator(`[data-request=${nameOf('user')}]`)
  const ask = async () => {
    const asked = await call(await tokenOf('user'), 'POST', '/me/streamer', { note: 'Chess on Fridays' })
    check(asked.status === 202, `the request is ${asked.status}`)
    await page.goto(`${args.url}/admin/requests`)
    check(/Chess on Fridays/.test(await row.innerText()), 'the note is shown')
  }
  const give = async (role) => {
    const { status } = await call(boss, 'PATCH', `/admin/users/${(await me()).id}`, { role })
    check(status === 200, `another admin's answer is ${status}`)
  }
  // Another admin is quicker: what they gave is not taken back by an answer to what was there before.
  await ask()
  await give('moderator')
  await row.locator('[data-decline]').click()
  await page.click('dialog[open] [data-confirm]')
  await page.locator('[data-undone]').filter({ hasText: 'Moderator' }).waitFor()
  await row.waitFor({ state: 'detached' })
  check((await me()).role === 'moderator', 'the role stays')
  await give('viewer')
  await ask()
  await row.locator('[data-approve]').click()
  await row.waitFor({ state: 'detached' })
  check((await me()).role === 'streamer', 'the role is given')
}

async function jobs(page, user) {
  // Nobody answers there: the delivery waits to be tried again.
  const hook = await call(user, 'POST', '/me/webhooks', {
    url: 'https://bot.invalid/hook',
    events: ['stream.online'],
  })
  check(hook.status === 201, `the webhook is ${hook.status}`)
  check((await call(user, 'POST', `/me/webhooks/${hook.data.id}/test`)).status === 202, 'it is tested')
  await page.goto(`${args.url}/admin/jobs`)
  for (const what of ['sweep', 'backup']) {
    await page.click(`[data-${what}]`)
    await page.click('dialog[open] [data-confirm]')
    const begun = page.locator('[data-job-detail]')
    await begun.locator('[data-state=done]').waitFor({ timeout: 30_000 })
    check((await begun.locator('[data-log]').innerText()).length > 0, `the ${what} tells what it did`)
    await page.keyboard.press('Escape')
    await page.locator('dialog[open]').waitFor({ state: 'detached' })
  }
  await page.fill('[name=kind]', 'webhook_delivery')
  await page.selectOption('[name=state]', 'waiting')
  // Until the list is what was asked for, its first is another job.
  const rows = (which) => page.locator(`[data-jobs] > [data-kind]${which}`).count()
  await waitFor(
    async () => (await rows('')) > 0 && (await rows(':not([data-kind=webhook_delivery])')) === 0,
    { what: 'the deliveries alone' },
  )
  await page.locator('[data-jobs] [data-look]').first().click({ timeout: 30_000 })
  const detail = page.locator('[data-job-detail]')
  await detail.locator('[data-job-error]').waitFor({ timeout: 30_000 })
  check((await detail.locator('[data-payload]').innerText()).includes('{'), 'what it is to do is shown')
  await detail.locator('[name=priority]').selectOption('1')
  await detail.locator('[role=status]').filter({ hasText: 'priority' }).waitFor()
  await detail.locator('[data-cancel]').click()
  await detail.locator('[data-state=canceled]').waitFor()
  await detail.locator('[data-retry]').click()
  await detail.locator('[data-state=waiting], [data-state=running]').waitFor()
  await page.keyboard.press('Escape')
  await page.locator('dialog[open]').waitFor({ state: 'detached' })
}

async function keys(page) {
  await page.goto(`${args.url}/admin/keys`)
  await page.click('[data-new-key]')
  await page.fill('dialog[open] [name=label]', 'Payments')
  await page.keyboard.press('Enter')
  const fresh = page.locator('[data-fresh-key]')
  await fresh.locator('button[aria-pressed=false]').click()
  check((await fresh.locator('[data-secret]').innerText()).startsWith('mdh_'), 'the secret is shown')
  await page.locator('[data-key] button.danger').click()
  await page.click('dialog[open] [data-confirm]')
  await page.waitForSelector('[data-empty]')
}

async function categories(page) {
  await page.goto(`${args.url}/admin/categories`)
  await page.click('[data-new-category]')
  await page.fill('dialog[open] [name=name]', 'Gardening')
  await page.fill('dialog[open] [name=slug]', 'Not a slug')
  await page.keyboard.press('Enter')
  await page.waitForSelector('dialog[open] [data-fault]')
  await page.fill('dialog[open] [name=slug]', 'gardening')
  await page.keyboard.press('Enter')
  const row = page.locator('[data-categories] > li').filter({ hasText: 'Gardening' })
  await row.locator('button.danger').click()
  await page.click('dialog[open] [type=submit]')
  await row.waitFor({ state: 'detached' })
}

/** What was done before is in the log, by name, and in the file that is saved of it. */
async function audit(page) {
  await page.goto(`${args.url}/admin/audit`)
  await page.fill('[name=action]', 'settings.update')
  await page.fill('[name=actor]', `@${nameOf('admin')}`)
  await page.keyboard.press('Enter')
  await waitFor(async () => /^settings.update/.test(await page.locator('[data-audit]').innerText()), {
    what: 'the entries',
  })
  check(
    (await page.locator('[data-audit]').innerText()).includes(`@${nameOf('admin')}`),
    'who did it is named',
  )
  const shown = await page.locator('[data-audit] > li').count()
  const [file] = await Promise.all([page.waitForEvent('download'), page.click('[data-export]')])
  const lines = (await readFile(await file.path(), 'utf8'))
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  check(lines.length === shown, `${lines.length} lines of ${shown} entries`)
  check(
    lines.every(({ action }) => action === 'settings.update'),
    'the file has what was searched for',
  )
}

async function streams(page) {
  await page.goto(`${args.url}/admin/streams`)
  const row = page.locator(`[data-stream=${args.stream}]`)
  // Figures come with the first pictures.
  await waitFor(
    async () => {
      if (/RTMP · .*\d+ fps/.test(await row.innerText())) return true
      await page.click('[data-refresh]')
      return false
    },
    { every: 1_000, timeout: 30_000, what: 'how the stream arrives' },
  )
  await row.locator('[data-disable]').click()
  await page.click('dialog[open] [data-confirm]')
  await row.locator('[data-state=disabled]').waitFor()
  await row.locator('[data-enable]').click()
  await row.locator('[data-disable]').waitFor()
}

async function moderation(context, hear, user) {
  const page = await signIn(context, 'moderator', `/@${nameOf('user')}`, hear)
  await page.click('[data-moderate]')
  await page.waitForSelector('[data-suspended=false]')
  await page.click('[data-suspend] [type=submit]')
  await page.waitForSelector('[data-fault=required]')
  await page.keyboard.type('spam in every chat')
  await page.selectOption('[data-suspend] [name=span]', 'month')
  await page.click('[data-suspend] [type=submit]')
  await page.waitForSelector('[data-suspended=true]')
  check(/spam in every chat/.test(await page.locator('[data-suspended]').innerText()), 'the reason is shown')
  const out = await call(null, 'POST', '/auth/login', { login: nameOf('user'), password: passwordOf('user') })
  check(out.data.code === 'account_suspended', `a login is ${out.data.code}`)
  await waitFor(async () => (await call(user, 'GET', '/me')).status !== 200, {
    what: 'the end of the session',
  })
  await page.click('[data-release]')
  await page.click('dialog[open] [data-confirm]')
  await page.waitForSelector('[data-suspended=false]')
  check(await tokenOf('user'), 'they may sign in again')
  // By name, and what moderators may not.
  await page.goto(`${args.url}/moderation`)
  await page.fill('[name=username]', `@${nameOf('admin').toUpperCase()}`)
  await page.keyboard.press('Enter')
  await page.fill('[data-suspend] [name=reason]', 'a coup')
  await page.click('[data-suspend] [type=submit]')
  await page.waitForSelector('[data-problem=role_required]')
  await page.goto(`${args.url}/admin`)
  await page.waitForSelector('[data-forbidden]')
}

const problems = []
const hear = (text) => expected.test(text) || problems.push(text)
const browser = await launch()
try {
  const boss = await tokenOf('admin')
  const page = await signIn(await newContext(browser), 'admin', '/admin', hear)
  const steps = {
    overview: () => overview(page),
    streams: () => streams(page),
    settings: () => settings(page, boss),
    requests: () => requests(page, boss),
    jobs: async () => jobs(page, await tokenOf('user')),
    keys: () => keys(page),
    categories: () => categories(page),
    audit: () => audit(page),
    moderation: async () => moderation(await newContext(browser), hear, await tokenOf('user')),
  }
  for (const [name, step] of Object.entries(steps)) {
    process.stderr.write(`${name}\n`)
    await step()
    if (problems.length) throw new Error(problems.join('\n'))
  }
} catch (error) {
  process.stderr.write(`${error.stack ?? error}\n`)
  process.exitCode = 1
} finally {
  await browser.close()
}
