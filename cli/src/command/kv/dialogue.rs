//! One transaction, line by line.

use std::io::IsTerminal as _;

use super::order::{Order, parse};
use super::service::Service;
use crate::escape::escape;
use crate::failure::Failure;
use crate::output::{errln, out, outln};

/// A transaction, and where its lines come from.
pub(super) struct Dialogue {
    service: Service,
    transaction: u64,
    is_terminal: bool,
}

impl Dialogue {
    pub(super) async fn begin(mut service: Service, read_only: bool) -> Result<Self, Failure> {
        let transaction = service.begin(read_only).await?;
        Ok(Self { service, transaction, is_terminal: std::io::stdin().is_terminal() })
    }

    /// Carries out lines until one ends the transaction, or there is none.
    pub(super) async fn hold(mut self) -> Result<(), Failure> {
        loop {
            let outcome = match self.line().await? {
                None => return self.service.commit(self.transaction).await,
                Some(line) => match parse(&line) {
                    Ok(Order::Commit) => return self.service.commit(self.transaction).await,
                    Ok(Order::Rollback) => return self.service.rollback(self.transaction).await,
                    Ok(order) => carry_out(&mut self.service, self.transaction, order).await,
                    // Whoever types it types it again.
                    Err(wrong) if self.is_terminal => {
                        errln!("{wrong}");
                        Ok(())
                    }
                    Err(wrong) => Err(Failure::failed(wrong)),
                },
            };
            if let Err(failure) = outcome {
                // The first error is what is told: it may be why there is nothing to roll back.
                let _ = self.service.rollback(self.transaction).await;
                return Err(failure);
            }
        }
    }

    /// The next line; None at the end.
    async fn line(&self) -> Result<Option<String>, Failure> {
        if self.is_terminal {
            out!("kv> ");
        }
        next_line().await
    }
}

/// The next line of standard input; None at the end. It is read on a thread of its own.
pub(super) async fn next_line() -> Result<Option<String>, Failure> {
    let read = env::task::blocking(|| {
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).map(|count| (count > 0).then_some(line))
    });
    let read = read.await.map_err(Failure::failed)?;
    read.map_err(|error| Failure::failed(format!("cannot read standard input: {error}")))
}

/// Carries out what a line orders of keys, in a transaction, or as one (0), and prints what comes of it.
pub(super) async fn carry_out(service: &mut Service, transaction: u64, order: Order) -> Result<(), Failure> {
    match order {
        Order::Get(key) => match service.get(transaction, key).await? {
            Some(value) => outln!("{}", escape(&value)),
            None => errln!("there is no such key"),
        },
        Order::Set(key, value) => service.set(transaction, key, value).await?,
        Order::Delete(key) => {
            if !service.delete(transaction, key).await? {
                errln!("there was no such key");
            }
        }
        Order::Scan(start, end) => service.scan(transaction, (start, end), 0, false).await?,
        Order::Nothing | Order::Commit | Order::Rollback => {}
    }
    Ok(())
}
