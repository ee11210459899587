//! A scripted server: as much of an HSS as it takes to answer, and every way not to.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use accord_adapters::diameter::avp;
use accord_adapters::diameter::codec::{
    Avps, Encoder, FLAG_RETRANSMIT, HEADER_LEN, Header, take_frame,
};
use accord_adapters::diameter::node::Node;
use accord_adapters::diameter::tbcd;
use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support;

/// How it behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    /// As it should.
    Serve,
    /// Capabilities are refused with this result.
    RefuseCer(u32),
    /// It has another application than Sh.
    NoSh,
    /// It takes the connection and says nothing, ever.
    Deaf,
    /// It answers everything but questions.
    Silent,
    /// Neither questions nor watchdogs.
    Dead,
    /// Half an answer, then the end.
    Truncated,
    /// An answer whose length is no multiple of four.
    OddLength,
    /// An AVP that goes on behind the end of the answer.
    AvpTooLong,
    /// No Diameter at all.
    Garbage,
    /// An answer ten times longer than is allowed.
    TooLong,
    /// One byte of an answer, to watchdogs too, and then none.
    Trickle,
    /// Requests of its own before the answer: one of no known command, and one that lies about its
    /// length.
    Asks,
    /// An answer to nobody's question before the right one, and it once more after.
    Chatty,
    /// An answer under another end-to-end identifier.
    WrongEndToEnd,
    /// This result of the base protocol.
    Result(u32),
    /// A result of 3GPP's.
    Experimental(u32),
    /// It closes the connection instead of answering.
    HangUp,
    /// It disconnects, with this cause, instead of answering.
    Disconnect(u32),
}

#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) connections: usize,
    pub(crate) questions: usize,
    pub(crate) retransmitted: usize,
    pub(crate) watchdogs: usize,
    pub(crate) goodbyes: usize,
    /// Results of our answers to its own requests.
    pub(crate) answered: Vec<u32>,
}

struct State {
    mood: Mood,
    documents: HashMap<String, String>,
    /// Results of the base protocol for some numbers.
    results: HashMap<String, u32>,
    seen: Seen,
}

#[derive(Clone)]
pub(crate) struct Fake {
    address: String,
    state: Arc<Mutex<State>>,
}

impl Fake {
    pub(crate) async fn start(mood: Mood) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let fake = Self {
            address: listener.local_addr().unwrap().to_string(),
            state: Arc::new(Mutex::new(State {
                mood,
                documents: HashMap::new(),
                results: HashMap::new(),
                seen: Seen::default(),
            })),
        };
        let server = fake.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                server.with(|state| state.seen.connections += 1);
                let server = server.clone();
                tokio::spawn(async move { server.serve(stream).await });
            }
        });
        fake
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn be(&self, mood: Mood) {
        self.with(|state| state.mood = mood);
    }

    /// Answers a number with what stands inside Sh-Data; without it the number is unknown.
    pub(crate) fn know(&self, last: u16, inside: &str) {
        let document = format!("<Sh-Data>{inside}</Sh-Data>");
        self.know_raw(last, &document);
    }

    pub(crate) fn know_raw(&self, last: u16, document: &str) {
        self.with(|state| {
            state
                .documents
                .insert(support::digits(last), document.to_owned())
        });
    }

    pub(crate) fn imsi(&self, last: u16, imsi: &str) {
        self.know(last, &format!("<IMSI>{imsi}</IMSI>"));
    }

    /// Answers a number with this result, as a relay whose HSS for it is gone.
    pub(crate) fn refuse(&self, last: u16, result: u32) {
        self.with(|state| state.results.insert(support::digits(last), result));
    }

    pub(crate) fn forget(&self, last: u16) {
        self.with(|state| state.documents.remove(&support::digits(last)));
    }

    pub(crate) fn seen<T>(&self, look: impl FnOnce(&Seen) -> T) -> T {
        self.with(|state| look(&state.seen))
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock().unwrap())
    }

    async fn serve(&self, mut stream: TcpStream) -> Option<()> {
        let mut received = BytesMut::new();
        loop {
            while let Some(frame) = take_frame(&mut received, 1 << 20).ok()? {
                for reply in self.reply(&frame)? {
                    stream.write_all(&reply).await.ok()?;
                }
                if self.ends_after(&frame) {
                    return None;
                }
            }
            if stream.read_buf(&mut received).await.ok()? == 0 {
                return None;
            }
        }
    }

    fn ends_after(&self, frame: &Bytes) -> bool {
        let is_question = Header::decode(frame).unwrap().command == avp::USER_DATA_COMMAND;
        let mood = self.with(|state| state.mood);
        is_question && matches!(mood, Mood::HangUp | Mood::Truncated)
    }

    fn reply(&self, frame: &Bytes) -> Option<Vec<Bytes>> {
        let header = Header::decode(frame).ok()?;
        let avps = Avps::decode(frame.slice(HEADER_LEN..)).ok()?;
        let mood = self.with(|state| state.mood);
        if mood == Mood::Deaf {
            return Some(Vec::new());
        }
        if !header.is_request() {
            let result = avps.required(avp::RESULT_CODE).unwrap().u32().unwrap();
            self.with(|state| state.seen.answered.push(result));
            return Some(Vec::new());
        }
        match header.command {
            avp::CAPABILITIES_EXCHANGE => Some(vec![capabilities(&header, mood)]),
            avp::DEVICE_WATCHDOG => {
                self.with(|state| state.seen.watchdogs += 1);
                let answer = node().answer(&header, &avps, avp::SUCCESS).unwrap();
                Some(if mood == Mood::Dead {
                    Vec::new()
                } else if mood == Mood::Trickle {
                    vec![answer.slice(..1)]
                } else {
                    vec![answer]
                })
            }
            avp::DISCONNECT_PEER => {
                self.with(|state| state.seen.goodbyes += 1);
                Some(vec![node().answer(&header, &avps, avp::SUCCESS).unwrap()])
            }
            _ => Some(self.question(&header, &avps, mood)),
        }
    }

    fn question(&self, header: &Header, avps: &Avps, mood: Mood) -> Vec<Bytes> {
        let identity = avps.required(avp::USER_IDENTITY).unwrap().group().unwrap();
        let number = tbcd::decode(identity.required(avp::MSISDN).unwrap().data()).unwrap();
        let result = self.with(|state| state.results.get(&number).copied());
        let mood = result.map_or(mood, Mood::Result);
        let document = self.with(|state| {
            state.seen.questions += 1;
            state.seen.retransmitted += usize::from(header.flags & FLAG_RETRANSMIT != 0);
            state.documents.get(&number).cloned()
        });
        let answer = answer(header, avps, document.as_deref(), mood);
        match mood {
            Mood::Silent | Mood::Dead | Mood::HangUp => Vec::new(),
            Mood::Truncated => vec![answer.slice(..answer.len() / 2)],
            Mood::Trickle => vec![answer.slice(..1)],
            Mood::Garbage => vec![Bytes::from_static(b"HTTP/1.1 400 Bad Request\r\n\r\n")],
            Mood::OddLength => vec![tampered(&answer, 3, 0x02)],
            // The length of the first AVP, which begins behind the header.
            Mood::AvpTooLong => vec![tampered(&answer, HEADER_LEN + 6, 0x7f)],
            Mood::TooLong => {
                let mut long = Encoder::default();
                long.octets(avp::USER_DATA, &vec![b' '; 10 * 65_536])
                    .unwrap();
                vec![header_of_answer(header).encode(&long.bytes()).unwrap()]
            }
            Mood::Chatty => {
                let nobody = Header {
                    hop_by_hop: header.hop_by_hop ^ 1,
                    ..header_of_answer(header)
                };
                let stray = nobody.encode(&answer[HEADER_LEN..]).unwrap();
                vec![stray, answer.clone(), answer]
            }
            Mood::WrongEndToEnd => {
                let other = Header {
                    end_to_end: header.end_to_end ^ 1,
                    ..header_of_answer(header)
                };
                vec![other.encode(&answer[HEADER_LEN..]).unwrap()]
            }
            Mood::Asks => vec![
                own_request(999, &[]),
                own_request(avp::PUSH_NOTIFICATION, &[0, 0, 1, 8, 0, 0, 0, 7]),
                answer,
            ],
            Mood::Disconnect(cause) => vec![disconnect(cause)],
            Mood::Serve
            | Mood::RefuseCer(_)
            | Mood::NoSh
            | Mood::Deaf
            | Mood::Result(_)
            | Mood::Experimental(_) => vec![answer],
        }
    }
}

fn node() -> Node {
    Node {
        host: "hss.example".to_owned(),
        realm: "example".to_owned(),
    }
}

fn header_of_answer(to: &Header) -> Header {
    Header { flags: 0x40, ..*to }
}

fn capabilities(to: &Header, mood: Mood) -> Bytes {
    let application = if mood == Mood::NoSh {
        4
    } else {
        avp::APPLICATION_SH
    };
    let result = if let Mood::RefuseCer(result) = mood {
        result
    } else {
        avp::SUCCESS
    };
    let mut avps = Encoder::default();
    avps.u32(avp::RESULT_CODE, result).unwrap();
    avps.octets(avp::ORIGIN_HOST, b"hss.example").unwrap();
    avps.octets(avp::ORIGIN_REALM, b"example").unwrap();
    avps.u32(avp::AUTH_APPLICATION_ID, application).unwrap();
    Header { flags: 0, ..*to }.encode(&avps.bytes()).unwrap()
}

fn answer(to: &Header, asked: &Avps, document: Option<&str>, mood: Mood) -> Bytes {
    let mut avps = Encoder::default();
    avps.same(asked.required(avp::SESSION_ID).unwrap()).unwrap();
    let experimental = if let Mood::Experimental(code) = mood {
        Some(code)
    } else {
        document.is_none().then_some(avp::USER_UNKNOWN_3GPP)
    };
    if let Mood::Result(code) = mood {
        avps.u32(avp::RESULT_CODE, code).unwrap();
    } else if let Some(code) = experimental {
        let mut group = Encoder::default();
        group.u32(avp::VENDOR_ID, avp::VENDOR_3GPP).unwrap();
        group.u32(avp::EXPERIMENTAL_RESULT_CODE, code).unwrap();
        avps.group(avp::EXPERIMENTAL_RESULT, &group).unwrap();
    } else {
        avps.u32(avp::RESULT_CODE, avp::SUCCESS).unwrap();
        avps.octets(avp::USER_DATA, document.unwrap_or_default().as_bytes())
            .unwrap();
    }
    header_of_answer(to).encode(&avps.bytes()).unwrap()
}

fn tampered(frame: &Bytes, at: usize, with: u8) -> Bytes {
    let mut bytes = frame.to_vec();
    bytes[at] = bytes[at].wrapping_add(with);
    Bytes::from(bytes)
}

fn disconnect(cause: u32) -> Bytes {
    let mut avps = Encoder::default();
    avps.octets(avp::ORIGIN_HOST, b"hss.example").unwrap();
    avps.octets(avp::ORIGIN_REALM, b"example").unwrap();
    avps.u32(avp::DISCONNECT_CAUSE, cause).unwrap();
    let header = Header {
        flags: 0x80,
        command: avp::DISCONNECT_PEER,
        application: 0,
        hop_by_hop: 77,
        end_to_end: 78,
    };
    header.encode(&avps.bytes()).unwrap()
}

fn own_request(command: u32, avps: &[u8]) -> Bytes {
    let header = Header {
        flags: 0xc0,
        command,
        application: avp::APPLICATION_SH,
        hop_by_hop: 79,
        end_to_end: 80,
    };
    header.encode(avps).unwrap()
}
