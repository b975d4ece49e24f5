// Plays a stream by WHEP in a browser and tells on standard output, a JSON object a line, how it gets on.
//
//   node web/tests/e2e/whep.mjs --url http://host/whep/{stream} [--relay HOST:PORT]
//
// Lines: {"type":"state","state":"connected"} …, {"type":"played","decoded":…,"freezes":…,"nacks":…,"retransmitted":…} each second. Lines on
// standard input are commands: "restart" restarts ICE by PATCH; its end sends DELETE.
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { launch, newContext } from './lib.mjs'

const options = {
  url: { type: 'string' },
  relay: { type: 'string' },
  help: { type: 'boolean', default: false },
}

const print = (line) => process.stdout.write(`${JSON.stringify(line)}\n`)

/** Runs in the page. */
async function play({ url, relay }) {
  const tell = (line) => window.tell(line)
  const pc = new RTCPeerConnection()
  const video = document.body.appendChild(document.createElement('video'))
  Object.assign(video, { autoplay: true, playsInline: true })
  const stream = new MediaStream()
  pc.addEventListener('track', ({ track }) => {
    stream.addTrack(track)
    video.srcObject = stream
  })
  pc.addEventListener('connectionstatechange', () => tell({ type: 'state', state: pc.connectionState }))
  pc.addTransceiver('video', { direction: 'recvonly' })
  pc.addTransceiver('audio', { direction: 'recvonly' })
  const session = await window.negotiate(pc, url, { relay })
  window.restart = async () => tell({ type: 'restarted', ...(await session.restart()) })
  window.stop = session.stop
  setInterval(async () => {
    const stats = [...(await pc.getStats()).values()].find(
      (s) => s.type === 'inbound-rtp' && s.kind === 'video',
    )
    if (stats)
      tell({
        type: 'played',
        decoded: stats.framesDecoded,
        freezes: stats.freezeCount,
        frozen: stats.totalFreezesDuration,
        lost: stats.packetsLost,
        received: stats.packetsReceived,
        nacks: stats.nackCount,
        retransmitted: stats.retransmittedPacketsReceived ?? 0,
      })
  }, 1000)
}

async function main() {
  const { values: args } = parseArgs({ options })
  if (args.help || !args.url) {
    process.stdout.write('whep.mjs --url WHEP [--relay HOST:PORT]\n')
    return args.help ? 0 : 2
  }
  const browser = await launch({ args: ['--autoplay-policy=no-user-gesture-required'] })
  try {
    const context = await newContext(browser)
    await context.addInitScript({ path: fileURLToPath(new URL('session.js', import.meta.url)) })
    const page = await context.newPage()
    await page.exposeFunction('tell', print)
    page.on('pageerror', (error) => print({ type: 'problem', text: String(error) }))
    await page.goto(new URL('/healthz', args.url).href)
    await page.evaluate(play, args)
    for await (const line of createInterface({ input: process.stdin }))
      if (line === 'restart') await page.evaluate(() => window.restart())
    print({ type: 'stopped', status: await page.evaluate(() => window.stop()) })
  } finally {
    await browser.close()
  }
  return 0
}

main().then(
  (code) => (process.exitCode = code),
  (error) => {
    print({ type: 'problem', text: String(error) })
    process.exitCode = 1
  },
)
