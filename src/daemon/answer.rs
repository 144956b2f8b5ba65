//! What the desk says when it is asked.

use crate::daemon::desk::Desk;
use crate::daemon::views;
use crate::http::Question;
use crate::store::StoreError;

impl Desk {
    /// Who asked may be gone by now; that is their business.
    pub(crate) fn answer(&mut self, question: Question) -> Result<(), StoreError> {
        self.refresh_views()?;
        match question {
            Question::Open(entities, window, reply) => {
                let _ = reply.send(views::open(&self.books.pipeline, &entities, window));
            }
            Question::Desk(reply) => {
                let _ = reply.send(views::desk(self)?);
            }
            Question::SetAside(reply) => {
                let _ = reply.send(self.books.pipeline.set_aside());
            }
            Question::Decide(decision, reply) => {
                let decided = match decision.judgement(self.now) {
                    Ok(_) if self.held.is_some() => Err("nothing is taken in for now; see `held` in status".to_owned()),
                    Ok(judgement) => self.books.judge(judgement)?.map_err(|undecided| undecided.text().to_owned()),
                    Err(message) => Err(message),
                };
                let _ = reply.send(decided);
            }
            Question::Adjust(correction, reply) => {
                let _ = reply.send(self.adjust(correction)?);
            }
            Question::Restate(again, reply) => {
                let _ = reply.send(self.restate(&again)?);
            }
            Question::Heard(details, reply) => {
                let _ = reply.send(views::heard(&self.books.pipeline, &details));
            }
            Question::Readings(ix, reply) => {
                let _ = reply.send(self.books.pipeline.held(ix));
            }
            Question::Meters(reply) => {
                let _ = reply.send(views::meters(&self.books.pipeline, self.now));
            }
            Question::Unmapped(reply) => {
                let _ = reply.send(self.unmapped.view());
            }
        }
        Ok(())
    }
}
