// Publishes from a browser by WHIP and tells on standard output, a JSON object a line, what becomes of it.
//
//   node web/tests/e2e/publish.mjs --url http://host/whip/{stream} [--key KEY] [--camera] [--size 1280x720] …
//
// Without --camera the picture is painted, with the wall clock in its first row as internal/stamp paints it, so that players
// tell the delay. With --clap it is white for a moment each second, and there is sound only then. With --relay media goes there,
// and not where the server says. Lines: {"type":"state","state":"connected"} …, {"type":"sent","frames":…,"keyFrames":…} each second. Lines on
// standard input are commands: "restart" restarts ICE by PATCH, "size WxH" changes the picture, "pause RID" and "resume RID" stop a
// layer of simulcast, whose RIDs are h, m and l; its end sends DELETE.
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { launch, newContext } from './lib.mjs'

const options = {
  url: { type: 'string' },
  key: { type: 'string' },
  camera: { type: 'boolean', default: false },
  size: { type: 'string', default: '1280x720' },
  codec: { type: 'string', default: 'video/H264' },
  bitrate: { type: 'string', default: '2500' },
  layers: { type: 'string', default: '1' },
  rate: { type: 'string', default: '30' },
  relay: { type: 'string' },
  clap: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
}

const print = (line) => process.stdout.write(`${JSON.stringify(line)}\n`)

/** Runs in the page. */
async function publish({ url, key, camera, size, codec, bitrate, layers, rate, relay, clap }) {
  const tell = (line) => window.tell(line)
  const [width, height] = size.split('x').map(Number)
  const headers = key ? { Authorization: `Bearer ${key}` } : {}

  function painted() {
    const canvas = document.createElement('canvas')
    Object.assign(canvas, { width, height })
    const context = canvas.getContext('2d', { alpha: false })
    let second = 0
    const stamp = () => {
      const block = canvas.width / 64
      const now = Date.now()
      const claps = clap && now % 1000 < 200
      if (claps && second !== Math.floor(now / 1000)) {
        second = Math.floor(now / 1000)
        volume.gain.setValueAtTime(1, audio.currentTime)
        volume.gain.setValueAtTime(0, audio.currentTime + 0.1)
      }
      const bytes = [0xa5]
      for (let shift = 5; shift >= 0; shift--) bytes.push(Math.floor(now / 256 ** shift) % 256)
      bytes.push(bytes.slice(1).reduce((a, b) => a + b) % 256)
      context.fillStyle = claps ? '#fff' : `hsl(${(now / 20) % 360} 40% 40%)`
      context.fillRect(0, 0, canvas.width, canvas.height)
      context.fillStyle = '#fff'
      context.font = `${canvas.height / 6}px sans-serif`
      context.fillText(new Date(now).toISOString().slice(11, 23), 40, canvas.height / 2)
      context.fillStyle = '#000'
      context.fillRect(0, 0, canvas.width, block)
      context.fillStyle = '#fff'
      for (let bit = 0; bit < 64; bit++) {
        if (bytes[bit >> 3] & (0x80 >> (bit & 7))) context.fillRect(bit * block, 0, block, block)
      }
    }
    window.resize = (w, h) => Object.assign(canvas, { width: w, height: h })
    const audio = new AudioContext()
    const tone = audio.createOscillator()
    const volume = audio.createGain()
    const out = audio.createMediaStreamDestination()
    tone.frequency.value = 440
    volume.gain.value = clap ? 0 : 1
    tone.connect(volume).connect(out)
    tone.start()
    setInterval(stamp, 1000 / rate)
    stamp()
    return new MediaStream([...canvas.captureStream(Number(rate)).getTracks(), ...out.stream.getTracks()])
  }

  const media = camera
    ? await navigator.mediaDevices.getUserMedia({
        video: { width, height, frameRate: Number(rate) },
        audio: true,
      })
    : painted()
  const pc = new RTCPeerConnection()
  pc.addEventListener('connectionstatechange', () => tell({ type: 'state', state: pc.connectionState }))
  const [video] = media.getVideoTracks()
  const sender = pc.addTransceiver(video, {
    direction: 'sendonly',
    streams: [media],
    // Each layer has half the size of the one above, and a third of its bits.
    sendEncodings: Array.from({ length: Number(layers) }, (_, i) => ({
      ...(Number(layers) > 1 && { rid: 'hml'[i], scaleResolutionDownBy: 2 ** i }),
      maxBitrate: Math.round((Number(bitrate) * 1000) / 3 ** i),
    })),
  })
  const known = RTCRtpSender.getCapabilities('video').codecs
  const wanted = known.filter((c) => c.mimeType === codec)
  if (!wanted.length) throw new Error(`this browser does not encode ${codec}`)
  // With the stream for what is sent again, as a browser offers it that was told no preferences.
  sender.setCodecPreferences([...wanted, ...known.filter((c) => c.mimeType === 'video/rtx')])
  for (const track of media.getAudioTracks())
    pc.addTransceiver(track, { direction: 'sendonly', streams: [media] })

  let rates = ''
  if (Number(layers) > 1) rates += `;x-google-start-bitrate=${2 * bitrate}`
  if (clap && !relay) {
    // On a busy machine the browser would make the picture smaller, which is another epoch.
    const parameters = sender.sender.getParameters()
    parameters.degradationPreference = 'maintain-resolution'
    await sender.sender.setParameters(parameters)
  }
  const session = await window.negotiate(pc, url, { headers, relay, rates })
  window.restart = async () => tell({ type: 'restarted', ...(await session.restart()) })
  window.stop = session.stop
  window.activate = async (rid, active) => {
    const parameters = sender.sender.getParameters()
    for (const encoding of parameters.encodings) if (encoding.rid === rid) encoding.active = active
    await sender.sender.setParameters(parameters)
  }
  setInterval(async () => {
    const stats = [...(await pc.getStats()).values()].find(
      (s) => s.type === 'outbound-rtp' && s.kind === 'video',
    )
    if (stats)
      tell({
        type: 'sent',
        frames: stats.framesSent,
        keyFrames: stats.keyFramesEncoded,
        pli: stats.pliCount,
        packets: stats.packetsSent,
        nacks: stats.nackCount,
        retransmitted: stats.retransmittedPacketsSent,
      })
  }, 1000)
}

async function main() {
  const { values: args } = parseArgs({ options })
  if (args.help || !args.url) {
    process.stdout.write(
      'publish.mjs --url WHIP [--key KEY] [--camera] [--size WxH] [--codec video/H264] [--bitrate KBIT] [--layers N]\n            [--rate FPS] [--relay HOST:PORT] [--clap]\n',
    )
    return args.help ? 0 : 2
  }
  const browser = await launch({
    args: [
      '--use-fake-device-for-media-stream',
      '--use-fake-ui-for-media-stream',
      '--autoplay-policy=no-user-gesture-required',
    ],
  })
  try {
    const context = await newContext(browser)
    await context.addInitScript({ path: fileURLToPath(new URL('session.js', import.meta.url)) })
    const page = await context.newPage()
    await page.exposeFunction('tell', print)
    page.on('pageerror', (error) => print({ type: 'problem', text: String(error) }))
    // A page of the server's own: devices are there for secure origins alone, and its address is one.
    await page.goto(new URL('/healthz', args.url).href)
    await page.evaluate(publish, args)
    for await (const line of createInterface({ input: process.stdin })) {
      const [command, value] = line.split(' ')
      if (command === 'restart') await page.evaluate(() => window.restart())
      if (command === 'pause' || command === 'resume')
        await page.evaluate(([rid, active]) => window.activate(rid, active), [value, command === 'resume'])
      if (command === 'size')
        await page.evaluate(([w, h]) => window.resize(w, h), value.split('x').map(Number))
    }
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
