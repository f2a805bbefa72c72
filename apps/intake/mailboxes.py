"""Domains where anybody has a mailbox: an address there says nothing about whose account it is."""

_DOMAINS = """
    126.com 139.com 163.com aim.com alice.it aol.com arcor.de att.net bigpond.com bluewin.ch bt.com
    btinternet.com comcast.net cox.net daum.net duck.com earthlink.net email.com fastmail.com
    fastmail.fm foxmail.com free.fr freenet.de gmail.com gmx.at gmx.ch gmx.com gmx.de gmx.net
    googlemail.com hanmail.net hey.com hotmail.co.uk hotmail.com hotmail.de hotmail.es hotmail.fr
    hotmail.it hushmail.com icloud.com inbox.com laposte.net libero.it live.co.uk live.com live.de
    live.fr live.nl mac.com mail.com mail.de mail.ru me.com msn.com naver.com o2.pl onet.pl
    optonline.net orange.fr outlook.com outlook.de outlook.es outlook.fr pm.me posteo.de proton.me
    protonmail.ch protonmail.com qq.com rediffmail.com rocketmail.com sbcglobal.net seznam.cz sfr.fr
    sina.com sky.com t-online.de tiscali.it tuta.com tuta.io tutanota.com uol.com.br verizon.net
    virgilio.it wanadoo.fr web.de wp.pl yahoo.ca yahoo.co.in yahoo.co.jp yahoo.co.uk yahoo.com
    yahoo.com.br yahoo.de yahoo.es yahoo.fr yahoo.it yandex.com yandex.ru yeah.net ymail.com
    zoho.com
"""
MAILBOXES = frozenset(_DOMAINS.split())
