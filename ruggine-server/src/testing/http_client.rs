//! HTTP as a client of another language would speak it.

use std::net::SocketAddr;

use bytes::Bytes;
use ruggine_core::api::Operation;
use ruggine_core::api::message::{Item, PageRequest, PageStart};
use ruggine_core::codec::Encoding;
use ruggine_core::secret::SecretText;
use ruggine_core::{ApiError, ConversationId, Seq};
use serde::Deserialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::patiently;

/// Asks a server over HTTP, one connection a request.
#[derive(Debug, Clone)]
pub struct HttpClient {
    address: SocketAddr,
    prefix: String,
    encoding: Encoding,
    token: Option<SecretText>,
    headers: Vec<(String, String)>,
}

/// An answer as it came.
#[derive(Debug, Clone)]
pub struct HttpAnswer {
    /// The status number.
    pub status: u16,
    /// The headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
}

#[derive(Deserialize)]
struct Failure {
    error: ApiError,
}

impl HttpClient {
    /// A client that speaks JSON and has not logged in.
    #[must_use]
    pub const fn new(address: SocketAddr) -> Self {
        Self {
            address,
            prefix: String::new(),
            encoding: Encoding::Json,
            token: None,
            headers: Vec::new(),
        }
    }

    /// Speaks this encoding.
    #[must_use]
    pub const fn with_encoding(mut self, encoding: Encoding) -> Self {
        self.encoding = encoding;
        self
    }

    /// Shows this access token.
    #[must_use]
    pub fn with_token(mut self, token: &SecretText) -> Self {
        self.token = Some(token.clone());
        self
    }

    /// Sends this header with every request.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Asks below this path, for routes that are nested in another application.
    #[must_use]
    pub fn with_prefix(mut self, prefix: &str) -> Self {
        prefix.clone_into(&mut self.prefix);
        self
    }

    /// Does an operation.
    ///
    /// # Errors
    /// What the server answers instead.
    ///
    /// # Panics
    /// When the server answers nothing, or something that is no answer.
    pub async fn call<O: Operation>(&self, request: O) -> Result<O::Response, ApiError> {
        let body = self
            .encoding
            .encode(&request)
            .expect("requests are plain data");
        let path = format!("/v1/{}", O::METHOD);
        let answer = self.post(&path, &body).await;
        if answer.status == 200 {
            let response = self.encoding.decode_from_server(&answer.body);
            return Ok(response.expect("a response is the operation's"));
        }
        Err(answer.error(self.encoding))
    }

    /// Every entry of a log that the caller may see, from the first on.
    ///
    /// # Errors
    /// What the server answers instead of a page.
    ///
    /// # Panics
    /// When two pages do not follow one another.
    pub async fn read_log(&self, conversation: ConversationId) -> Result<Vec<Item>, ApiError> {
        let mut log = Vec::new();
        let mut after = Seq::ZERO;
        loop {
            let request = PageRequest {
                conversation,
                from: PageStart::After(after),
                limit: None,
                as_content: false,
            };
            let page = self.call(request).await?;
            assert_eq!(
                page.from,
                after.next(),
                "a page begins where it was asked to"
            );
            log.extend(page.items);
            if page.to >= page.head {
                return Ok(log);
            }
            after = page.to;
        }
    }

    /// Sends a body as it is, in the client's encoding.
    ///
    /// # Panics
    /// When the server does not answer.
    pub async fn post(&self, path: &str, body: &[u8]) -> HttpAnswer {
        self.ask("POST", path, Some(body)).await
    }

    /// Reads a page.
    ///
    /// # Panics
    /// When the server does not answer.
    pub async fn get(&self, path: &str) -> HttpAnswer {
        self.ask("GET", path, None).await
    }

    async fn ask(&self, verb: &str, path: &str, body: Option<&[u8]>) -> HttpAnswer {
        let mut request = format!(
            "{verb} {}{path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n",
            self.prefix, self.address
        );
        if let Some(token) = &self.token {
            request += &format!("authorization: Bearer {}\r\n", token.expose());
        }
        for (name, value) in &self.headers {
            request += &format!("{name}: {value}\r\n");
        }
        if let Some(body) = body {
            let media_type = match self.encoding {
                Encoding::Json => "application/json",
                Encoding::MsgPack => "application/msgpack",
            };
            request += &format!(
                "content-type: {media_type}\r\ncontent-length: {}\r\n",
                body.len()
            );
        }
        request += "\r\n";
        patiently("an HTTP answer", async {
            let mut stream = TcpStream::connect(self.address)
                .await
                .expect("the server takes connections");
            stream
                .write_all(request.as_bytes())
                .await
                .expect("the server reads the request");
            // One that refuses by the headers need not read the body.
            let _ = stream.write_all(body.unwrap_or_default()).await;
            let mut answer = Vec::new();
            let read = stream.read_to_end(&mut answer).await;
            read_answer(&answer)
                .unwrap_or_else(|| panic!("not an HTTP answer ({read:?}): {} bytes", answer.len()))
        })
        .await
    }
}

impl HttpAnswer {
    /// The error in the body.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn error(&self, encoding: Encoding) -> ApiError {
        let failure: Failure = encoding
            .decode_from_server(&self.body)
            .unwrap_or_else(|error| panic!("status {} without an error: {error}", self.status));
        failure.error
    }

    /// The first header of this name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }
}

/// An answer whose length was said, or that ends with its connection.
fn read_answer(bytes: &[u8]) -> Option<HttpAnswer> {
    const END: &[u8] = b"\r\n\r\n";
    let end = bytes.windows(END.len()).position(|window| window == END)?;
    let head = std::str::from_utf8(&bytes[..end]).ok()?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let mut answer = HttpAnswer {
        status,
        headers,
        body: Bytes::new(),
    };
    let body = &bytes[end + END.len()..];
    let length = answer.header("content-length").map(str::parse);
    let length: usize = length.transpose().ok()?.unwrap_or(body.len());
    answer.body = Bytes::copy_from_slice(body.get(..length)?);
    Some(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_whole_or_not_at_all() {
        let whole = b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\nRetry-After:  7 \r\n\r\n{}";
        let answer = read_answer(whole).unwrap();
        assert_eq!(answer.status, 404);
        assert_eq!(answer.header("retry-after"), Some("7"));
        assert_eq!(&answer.body[..], b"{}");
        assert!(read_answer(&whole[..whole.len() - 1]).is_none());
        assert!(read_answer(b"HTTP/1.1 200 OK\r\n").is_none());
    }
}
