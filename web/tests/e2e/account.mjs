// Walks through the pages of an account, and tells on standard output, a JSON object a line, how far it is:
//
//   node web/tests/e2e/account.mjs --url http://host --mails URL --hook URL --video ID [--shots FOLDER]
//
// confirmed (the address, by the link of a mail); pictured; second factor; exported; reset (the password, by the link of a mail); followed (what
// was pressed before signing in is done after it); hooked; listed. --mails answers ?to=ADDRESS with the newest link that was mailed there, --hook is where a webhook may lead,
// --video a video of bert's. anna and bert are there, and streamers. Standard input's end ends it. A problem of any page fails it.
import { createHmac } from 'node:crypto'
import { parseArgs } from 'node:util'
import { deflateSync, crc32 } from 'node:zlib'
import { launch, newContext, open, waitFor } from './lib.mjs'

const { values: args } = parseArgs({
  options: {
    url: { type: 'string' },
    mails: { type: 'string' },
    hook: { type: 'string' },
    video: { type: 'string' },
    shots: { type: 'string' },
  },
})
const print = (line) => process.stdout.write(`${JSON.stringify(line)}\n`)
const problem = (text) => print({ type: 'problem', text })

const address = 'anna@example.com'
const password = 'correct horse battery'
const newPassword = 'a staple for the battery'

/** What browsers tell of refusals that are part of the walk. */
const expected = /Failed to load resource: .*(401|403|404|409|413|415|422)/

/** The code that an app shows for a secret; `ahead` steps of half a minute from now. */
function codeOf(secret, ahead = 0) {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'
  const bits = [...secret.replace(/\s/g, '')]
    .map((c) => alphabet.indexOf(c).toString(2).padStart(5, '0'))
    .join('')
  const key = Buffer.from((bits.match(/.{8}/g) ?? []).map((byte) => parseInt(byte, 2)))
  const step = Buffer.alloc(8)
  step.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000) + ahead))
  const sum = createHmac('sha1', key).update(step).digest()
  const number = sum.readUInt32BE(sum[19] & 15) & 0x7fffffff
  return String(number % 1_000_000).padStart(6, '0')
}

/** A grey PNG of so many pixels on each side. */
function png(side) {
  const chunk = (name, data) => {
    const body = Buffer.concat([Buffer.from(name), data])
    const out = Buffer.alloc(body.length + 8)
    out.writeUInt32BE(data.length, 0)
    body.copy(out, 4)
    out.writeUInt32BE(crc32(body), body.length + 4)
    return out
  }
  const header = Buffer.alloc(13)
  header.writeUInt32BE(side, 0)
  header.writeUInt32BE(side, 4)
  header.set([8, 0, 0, 0, 0], 8)
  const rows = Buffer.alloc(side * (side + 1), 0x80)
  for (let y = 0; y < side; y++) rows[y * (side + 1)] = 0
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])
  return Buffer.concat([
    signature,
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(rows)),
    chunk('IEND', Buffer.alloc(0)),
  ])
}

/** The newest link that was mailed, once it leads to that page. */
const mailed = (page) =>
  waitFor(
    async () => {
      const link = await (await fetch(`${args.mails}?to=${address}`)).text()
      return link.includes(page) && link.startsWith(args.url) && link
    },
    { what: `a mail with a link to ${page}` },
  )

async function main() {
  const browser = await launch()
  const hear = (text) => expected.test(text) || problem(text)
  try {
    const context = await newContext(browser)
    const page = await open(context, `${args.url}/login?to=/settings/account`, hear)
    const see = (selector, options) => page.waitForSelector(selector, { timeout: 20_000, ...options })
    const reads = (selector, text) => page.locator(selector).filter({ hasText: text }).first().waitFor()
    const shot = async (name) =>
      args.shots && page.screenshot({ path: `${args.shots}/${name}.png`, fullPage: true })
    const signIn = async (secret) => {
      await page.fill('[name=username]', 'anna')
      await page.fill('main [name=password]', secret)
      await page.keyboard.press('Enter')
    }
    const signOut = async () => {
      await page.click('[data-account]')
      await page.click('#account-menu button')
      await see('[data-sign-in], main [name=password]')
    }

    await signIn(password)
    await page.waitForURL('**/settings/account')
    await page.fill('main [name=email]', address)
    await page.locator('form:has([name=email]) [name=password]').fill(password)
    await page.keyboard.press('Enter')
    await reads('[data-email]', 'not confirmed')
    await page.goto(await mailed('/verify-email'))
    await reads('h1', 'Your address is confirmed')
    if (page.url().includes('token')) problem('the code of the mail stays in the address')
    await page.goto(`${args.url}/settings/account`)
    await reads('[data-email]', '· confirmed')
    print({ type: 'confirmed' })

    // Pictures: what is wrong with one is said with the server's numbers.
    await page.goto(`${args.url}/settings`)
    const avatar = (name, mimeType, buffer) =>
      page.setInputFiles('[data-picture=avatar] input', { name, mimeType, buffer })
    await avatar('small.png', 'image/png', png(16))
    await reads('[data-picture=avatar] [data-fault=picture_sides]', '64 to 8192 pixels')
    await avatar('text.png', 'image/png', Buffer.from('no picture at all'))
    await reads('[data-picture=avatar] [data-fault=picture_kind]', 'JPEG')
    await avatar('large.png', 'image/png', Buffer.alloc((5 << 20) + 1))
    await reads('[data-picture=avatar] [data-fault=picture_large]', '5 MiB')
    await shot('picture-fault')
    await avatar('good.png', 'image/png', png(128))
    await see('[data-picture=avatar] img')
    await see('[data-account] img')
    if (await page.locator('[data-picture=avatar] [data-fault]').count())
      problem('the fault of the last picture stays')
    print({ type: 'pictured' })

    await page.goto(`${args.url}/settings/security`)
    await page.click('[data-totp-start]')
    const secret = await page.locator('[data-totp-secret]').innerText()
    const recovery = await page.locator('[data-recovery] li').allInnerTexts()
    await page.fill('[name=totp]', '000000')
    await page.keyboard.press('Enter')
    await see('[data-fault=two_factor_invalid]')
    await page.fill('[name=totp]', codeOf(secret))
    await page.keyboard.press('Enter')
    await see('[data-two-factor=on]')
    await signOut()
    await page.goto(`${args.url}/login`)
    await signIn(password)
    await reads('h1', 'One more step')
    await page.fill('[name=totp]', codeOf(secret, 1)) // each code is good once
    await page.keyboard.press('Enter')
    await see('[data-account]')
    print({ type: 'second factor' })

    await page.goto(`${args.url}/settings/data`)
    await page.click('[data-export]')
    const link = await page.waitForSelector('main a[download]', { timeout: 30_000 })
    const file = await context.request.get(new URL(await link.getAttribute('href'), args.url).href)
    if (!file.ok() || (await file.body()).subarray(0, 2).toString() !== 'PK') problem('the export is no zip')
    print({ type: 'exported' })

    await signOut()
    await page.goto(`${args.url}/forgot-password`)
    await page.fill('[name=username]', address)
    await page.keyboard.press('Enter')
    await reads('[role=status]', 'on its way')
    await page.goto(await mailed('/reset-password'))
    await page.fill('[name=new-password]', newPassword)
    await page.keyboard.press('Enter')
    await reads('h1', 'Your password is changed')
    print({ type: 'reset' })

    // Who presses Follow before they are signed in is a follower when they are back.
    await page.goto(`${args.url}/@bert`)
    await reads('main [data-followers]', '0 followers')
    await page.click('[data-follow-signed-out]')
    await signIn(newPassword)
    await page.fill('[name=totp]', recovery[0])
    await page.keyboard.press('Enter')
    await page.waitForURL('**/@bert')
    await see('[data-follow] button[aria-pressed=true]')
    await reads('main [data-followers]', '1 follower')
    await page.reload()
    await see('[data-follow] button[aria-pressed=true]')
    await shot('followed')
    print({ type: 'followed' })

    await page.goto(`${args.url}/settings/webhooks`)
    await page.click('[data-new-webhook]')
    await page.fill('dialog [name=url]', 'http://example.com/')
    await page.click('dialog [data-group=people]')
    await page.click('[data-save-webhook]')
    await see('dialog [data-fault=invalid_format]')
    await page.fill('dialog [name=url]', args.hook)
    await page.click('[data-save-webhook]')
    await see('[data-fresh-secret]')
    await page.click('[data-test]')
    await see('[data-delivery=delivered]')
    await page.click('[data-retry]')
    await reads('[data-deliveries]', '2 attempts')
    await shot('webhooks')
    await page.click('[data-webhook] [data-active]')
    await see('[data-webhook-state=off]')
    await page.click('[data-webhook] [data-rotate]')
    await page.click('dialog[open] [data-confirm]')
    await reads('[data-webhook]', 'The old secret signs as well')
    await page.click('[data-webhook] [data-delete]')
    await page.click('dialog[open] [data-confirm]')
    await see('[data-empty]')
    print({ type: 'hooked' })

    await page.goto(`${args.url}/video/${args.video}`)
    await page.click('[data-keep][aria-pressed=false]')
    await see('[data-keep][aria-pressed=true]')
    await waitFor(() => page.evaluate(() => (document.querySelector('video')?.currentTime ?? 0) > 1), {
      timeout: 30_000,
      what: 'the video',
    })
    await page.goto(`${args.url}/watch-later`)
    await see(`[data-later] [data-video="${args.video}"]`)
    await shot('watch-later')
    await page.click('[data-later] [data-remove]')
    await see('[data-empty]')
    await page.goto(`${args.url}/history`)
    await waitFor(
      async () => {
        if (await page.locator('[data-history] [data-video]').count()) return true
        await page.reload()
        await see('[data-history], [data-empty]')
        return false
      },
      { what: 'the video in the history' },
    )
    await shot('history')
    await page.click('[data-clear]')
    await page.click('dialog[open] [data-confirm]')
    await see('[data-empty]')
    print({ type: 'listed' })
    await new Promise((resolve) => process.stdin.once('end', resolve).resume())
  } catch (error) {
    problem(String(error?.stack ?? error))
  } finally {
    await browser.close()
  }
}

await main()
