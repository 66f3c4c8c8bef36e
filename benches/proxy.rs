//! The tests' proxy as a program for `benches/run`, which controls it on standard input.
//!
//! usage: proxy UPSTREAM…  →  a line of addresses, one for each upstream (`host:port`). Each input line is a latency
//! in milliseconds for all later requests. The answer is a line with the traffic since the previous line: the number of
//! requests, and the bytes of bodies from and to the clients.

#[path = "../tests/it/support/proxy.rs"]
mod proxy;

use std::time::Duration;

fn main() {
    let upstreams = std::env::args().skip(1).filter(|argument| !argument.starts_with("--"));
    let proxies: Vec<_> = upstreams.map(|upstream| proxy::Proxy::to(&upstream)).collect();
    println!("{}", proxies.iter().map(proxy::Proxy::host).collect::<Vec<_>>().join(" "));
    for line in std::io::stdin().lines().map_while(Result::ok) {
        let latency = Duration::from_millis(line.trim().parse().expect("a latency in milliseconds"));
        let (mut requests, mut sent, mut received) = (0, 0, 0);
        for proxy in &proxies {
            let traffic = proxy.traffic();
            requests += traffic.requests;
            sent += traffic.sent;
            received += traffic.received;
            proxy.clear();
            proxy.set_latency(latency);
        }
        println!("{requests} {sent} {received}");
    }
}
