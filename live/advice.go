package live

import "strings"

// encoders are the kinds of publishers, by what their users can change.
type encoders uint8

const (
	anyEncoder encoders = iota // one that is not known, or what holds for all
	obsStudio
	ffmpegTool
	browser
	camera
	fieldEncoder // whatever sends SRT
	kindsOfEncoders
)

// encoderNames are what encoders have in their names, in lower case; the first that fits counts. The array is never written.
var encoderNames = [...]struct {
	part string
	kind encoders
}{
	{"obs", obsStudio}, // before the next: OBS calls itself Mozilla by WHIP
	{"mozilla/", browser},
	{"lavf", ffmpegTool},
	{"ffmpeg", ffmpegTool},
	{"camera", camera}, // what we pull from
	{"gstreamer", anyEncoder},
}

// encoderOf is the kind of a publisher, by its name or else by its protocol.
func encoderOf(protocol, name string) encoders {
	name = strings.ToLower(name)
	for _, n := range encoderNames {
		if strings.Contains(name, n.part) {
			return n.kind
		}
	}
	switch protocol {
	case "rtsp", "rtsps":
		return camera
	case "srt":
		return fieldEncoder
	default:
		return anyEncoder
	}
}

// byEncoder is what to do with each kind of encoder. Where a kind has no words of its own, those for any hold.
type byEncoder [kindsOfEncoders]string

// advice is what an alert tells the streamer.
type advice struct {
	is string // what is so, and what comes of it
	do byEncoder
}

// to is the advice to who has an encoder of a kind.
func (a *advice) to(kind encoders) string {
	do := a.do[kind]
	if do == "" {
		do = a.do[anyEncoder]
	}
	return a.is + " " + do
}

// What each alert tells the streamer to do. None of it is ever written.
var (
	adviceGOP = advice{"The encoder sends a key frame too seldom, so viewers join late and lag behind, or get only what this server encodes anew.", byEncoder{
		anyEncoder:   "Set its key frame interval (GOP) to 2 s. In OBS: Settings → Output → Advanced → Keyframe Interval: 2 s. In FFmpeg: -g with twice the frame rate.",
		obsStudio:    "In OBS: Settings → Output → Advanced → Keyframe Interval: 2 s.",
		ffmpegTool:   "In FFmpeg: -g with twice the frame rate.",
		browser:      "A browser sends one when this server asks for it, so the computer is overloaded or the network loses what is sent: close other tabs and programs, use a cable instead of Wi-Fi, and reload the page.",
		camera:       "In the camera's settings for video: set the I-frame interval (GOP) to twice the frame rate, and switch off what saves bits with long ones (H.264+, H.265+, Smart Codec, Zipstream).",
		fieldEncoder: "In the encoder's settings for video: set the key frame interval (GOP) to 2 s.",
	}}
	adviceOpen = advice{"The encoder's GOPs are open: pictures refer back over a key frame, so viewers cannot begin there, and get only what this server encodes anew.", byEncoder{
		anyEncoder:   "Set it to closed GOPs. In OBS: take open-gop=1 out of Settings → Output → x264 Options. In FFmpeg: -flags +cgop, and no open-gop=1 in -x264-params.",
		obsStudio:    "In OBS: take open-gop=1 out of Settings → Output → x264 Options.",
		ffmpegTool:   "In FFmpeg: -flags +cgop, and no open-gop=1 in -x264-params.",
		browser:      "A browser has no setting for it: take another browser, or publish H.264.",
		camera:       "In the camera's settings for video: choose closed GOPs, or the profile Baseline or Main.",
		fieldEncoder: "In the encoder's settings for video: choose closed GOPs (IDR at each key frame).",
	}}
	adviceTwo = advice{"Two encoders publish to this stream and push each other out.", byEncoder{
		anyEncoder: "The one on air keeps it; stop the other, or give it a stream and a key of its own.",
	}}
	adviceAudio = advice{"No sound arrives.", byEncoder{
		anyEncoder:   "Check that the encoder gets sound and sends it. In OBS: check that the audio mixer moves and that an audio track is chosen under Settings → Output → Streaming.",
		obsStudio:    "In OBS: check that the audio mixer moves and that an audio track is chosen under Settings → Output → Streaming.",
		ffmpegTool:   "In FFmpeg: check that the input for sound goes on (-map, and that it is not at its end).",
		browser:      "Check that the page may use the microphone, that it is not muted there or in the system, and that the right one is chosen.",
		camera:       "In the camera's settings: check that the microphone is on and that audio is part of this stream.",
		fieldEncoder: "Check the encoder's audio input and that audio is part of the stream that it sends.",
	}}
	adviceVideo = advice{"No picture arrives although sound does.", byEncoder{
		anyEncoder:   "Check the encoder's picture. In OBS: check the scene, and whether the encoder under Settings → Output is overloaded or has failed.",
		obsStudio:    "In OBS: check the scene, and whether the encoder under Settings → Output is overloaded or has failed.",
		ffmpegTool:   "In FFmpeg: check that the input for the picture goes on, and what it logs.",
		browser:      "Check that the camera or the screen is still shared and that no other program has taken the camera, and reload the page.",
		camera:       "Look whether the camera's own page shows a picture; if not, restart the camera.",
		fieldEncoder: "Check the encoder's video input: the cable, and whether the source still sends a picture.",
	}}
	adviceUneven = advice{"Key frames come at uneven distances, so segments differ in length.", byEncoder{
		anyEncoder:   "Set the encoder to a fixed key frame interval of 2 s. In OBS: set Keyframe Interval to 2 s instead of 0 (auto). In FFmpeg: add -sc_threshold 0 or -force_key_frames 'expr:gte(t,n_forced*2)'.",
		obsStudio:    "In OBS: set Keyframe Interval to 2 s instead of 0 (auto).",
		ffmpegTool:   "In FFmpeg: add -sc_threshold 0 or -force_key_frames 'expr:gte(t,n_forced*2)'.",
		browser:      "A browser sends them when viewers and this server ask for them: nothing has to be done.",
		camera:       "In the camera's settings for video: set a fixed I-frame interval, and switch off what changes it (H.264+, Smart Codec, dynamic GOP).",
		fieldEncoder: "In the encoder's settings for video: set a fixed key frame interval of 2 s, without scene change detection.",
	}}
	adviceBFrames = advice{"The encoder uses B-frames, which WebRTC players cannot show: they get a re-encoded picture, or none.", byEncoder{
		anyEncoder:   "For the least delay, switch them off. In OBS: Settings → Output → Max B-frames: 0. In FFmpeg: -bf 0.",
		obsStudio:    "For the least delay, in OBS: Settings → Output → Max B-frames: 0.",
		ffmpegTool:   "For the least delay, in FFmpeg: -bf 0.",
		browser:      "A browser has no setting for it: take another browser, or publish H.264.",
		camera:       "For the least delay, in the camera's settings for video: B-frames off, or the profile Baseline.",
		fieldEncoder: "For the least delay, in the encoder's settings for video: B-frames off, or the profile Baseline.",
	}}
	adviceLow = advice{"The bit rate is very low for this picture size, so it will look blurred.", byEncoder{
		anyEncoder:   "Raise it, or send a smaller picture. In OBS: Settings → Output → Bitrate.",
		obsStudio:    "Raise it, or send a smaller picture. In OBS: Settings → Output → Bitrate.",
		ffmpegTool:   "Raise it, or send a smaller picture. In FFmpeg: -b:v, or -s.",
		browser:      "A browser lowers it where the network or the computer does not keep up: use a cable instead of Wi-Fi, close other programs, or send a smaller picture.",
		camera:       "In the camera's settings for video: raise the bit rate, or choose a smaller picture.",
		fieldEncoder: "In the encoder's settings: raise the bit rate, or choose a smaller picture.",
	}}
	adviceRate = advice{"The bit rate has fallen far below what it was: the network or the encoder does not keep up.", byEncoder{
		anyEncoder:   "Lower the bit rate, or use a cable instead of Wi-Fi. In OBS, Dynamic Bitrate helps: Settings → Advanced.",
		obsStudio:    "Lower the bit rate, use a cable instead of Wi-Fi, or enable Dynamic Bitrate in OBS: Settings → Advanced.",
		ffmpegTool:   "Lower the bit rate (-b:v), use a cable instead of Wi-Fi, or choose a faster -preset.",
		browser:      "A browser lowers it by itself where the network does not keep up: use a cable instead of Wi-Fi, stop what else uploads, or send a smaller picture.",
		camera:       "Check the camera's network (cable, Wi-Fi, switch), and in its settings choose a constant bit rate (CBR), or a lower one.",
		fieldEncoder: "Lower the encoder's bit rate, or give it a better network: a cable, or more modems.",
	}}
	adviceFPS = advice{"Fewer pictures arrive than the encoder promises.", byEncoder{
		anyEncoder:   "The encoder is overloaded or its source is slow: choose a faster preset or a smaller picture. In OBS: look at View → Stats for frames missed by rendering or encoding lag.",
		obsStudio:    "In OBS: look at View → Stats for frames missed by rendering or encoding lag, and choose a faster preset or a smaller picture.",
		ffmpegTool:   "In FFmpeg: look whether it logs a speed below 1x, and choose a faster -preset or a smaller picture.",
		browser:      "The computer is too busy, or the camera takes longer in the dark: close other tabs and programs, send a smaller picture, or switch a light on.",
		camera:       "In the camera's settings: choose a fixed frame rate, no slow shutter at night, and a smaller picture if it is overloaded.",
		fieldEncoder: "Check that the encoder's input has the frame rate that it is set to, and that it is not overloaded.",
	}}
	adviceDrift = advice{"Picture and sound arrive far apart, so viewers wait for the later one.", byEncoder{
		anyEncoder:   "Check the encoder's audio delay and whether it is overloaded. In OBS: check Sync Offset in Advanced Audio Properties.",
		obsStudio:    "In OBS: check Sync Offset in Advanced Audio Properties, and whether the encoder is overloaded.",
		ffmpegTool:   "In FFmpeg: check -itsoffset, and give both inputs one clock (-use_wallclock_as_timestamps 1).",
		browser:      "Close other tabs and programs, and reload the page.",
		camera:       "Restart the camera, and set its clock by NTP.",
		fieldEncoder: "Check the encoder's audio delay, and whether it is overloaded.",
	}}
	adviceRepair = advice{"The encoder's timestamps jump or go back and are being mended.", byEncoder{
		anyEncoder:   "Restart the encoder; if it goes on, update it.",
		obsStudio:    "Restart the stream in OBS; if it goes on, look for a source that stutters (a capture card, a media file in a loop), and update OBS.",
		ffmpegTool:   "In FFmpeg: an input that jumps (-stream_loop, a playlist, a device) needs new ones, by encoding instead of -c copy, or -use_wallclock_as_timestamps 1.",
		browser:      "Reload the page; if it goes on, update the browser.",
		camera:       "Restart the camera, set its clock by NTP, and update its firmware.",
		fieldEncoder: "Restart the encoder; if it goes on, update it.",
	}}
	adviceLoss = advice{"Packets from the encoder are lost on the way and do not come in time, so the picture breaks.", byEncoder{
		anyEncoder:   "Use a cable instead of Wi-Fi, or lower the bit rate. With SRT, raise the latency to four round trips or more, so that they can be asked for again: latency= in the encoder's URL (in OBS and FFmpeg in microseconds, 500000 is half a second) or srt.latency here.",
		browser:      "Use a cable instead of Wi-Fi, stop what else uploads, or send a smaller picture.",
		camera:       "Use a cable instead of Wi-Fi, lower the camera's bit rate, or ask it by TCP: rtsp+tcp:// in sources, where it is pulled from.",
		fieldEncoder: "Raise the latency to four round trips or more, so that they can be asked for again: latency= in the encoder's URL (in OBS and FFmpeg in microseconds, 500000 is half a second), its own setting (most count milliseconds), or srt.latency here. Or lower the bit rate, or use a cable instead of Wi-Fi.",
	}}
	adviceLossy = advice{"Many packets from the encoder are lost on the way. So far they are sent again in time and viewers see nothing of it.", byEncoder{
		anyEncoder: "Use a cable instead of Wi-Fi, or lower the bit rate, before it gets worse.",
		browser:    "Use a cable instead of Wi-Fi, or stop what else uploads, before it gets worse.",
	}}
	adviceShed = advice{"This server is too busy to encode all qualities, so some of them are left out for now: the best first, but where the source itself cannot be shown, the one that stands in its place stays.", byEncoder{
		anyEncoder: "On the server: give it more cores, set transcode.hwaccel if it has a GPU, or choose a smaller transcode.ladder.",
	}}
	adviceLadder = advice{"This server is late encoding the smaller qualities, so their viewers are further behind. It leaves some out if that goes on.", byEncoder{
		anyEncoder: "On the server: give it more cores, set transcode.hwaccel if it has a GPU, or choose a smaller transcode.ladder.",
	}}
	adviceNoHLS = advice{"The sound is Opus, which HLS does not carry, and nothing here makes AAC of it: viewers see the picture without sound.", byEncoder{
		anyEncoder:   "Choose AAC as the audio encoder, or install FFmpeg on the server. In OBS: Settings → Output → Audio Encoder.",
		obsStudio:    "By RTMP, choose AAC in OBS: Settings → Output → Audio Encoder. By WHIP it sends Opus only: install FFmpeg on the server.",
		ffmpegTool:   "In FFmpeg: -c:a aac, and another protocol than WHIP. Or install FFmpeg on the server, too.",
		browser:      "A browser sends nothing else: install FFmpeg on the server, which then makes AAC of it.",
		camera:       "In the camera's settings: choose AAC as the audio codec. Or install FFmpeg on the server.",
		fieldEncoder: "In the encoder's settings: choose AAC as the audio codec. Or install FFmpeg on the server.",
	}}
	adviceNoPicture = advice{"The picture is in a codec that HLS does not carry (VP8), and this broadcast has no quality that stands in for it: viewers see no picture.", byEncoder{
		anyEncoder: "Publish H.264. Or end the broadcast and begin a new one: where this server encodes qualities (transcode.ladder, with FFmpeg installed), those are shown then.",
		browser:    "Publish with a browser that has H.264. Or stop, wait until the broadcast has ended, and publish anew: where this server encodes qualities (transcode.ladder, with FFmpeg installed), those are shown then.",
	}}
)
