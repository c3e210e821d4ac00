/**
 * The words by which guard knows what a number is, in the languages shops are written to. Data only; everything is folded when loaded, so
 * that spelling, case and diacritics do not matter. A space in a label stands for up to three spaces, dashes or dots, or none.
 */
import { fold } from './fold.ts';

/** Names of the card security code that mean nothing else. */
export const SECURITY_CODE_LABELS: readonly string[] = foldAll([
  // Card schemes' own names
  ...['c v v', 'c v c', 'c c v', 'cv2', 'cav2', 'cvn2', 'card verification', 'verification value', 'card validation'],
  ...[
    'card security',
    'card code',
    'security code',
    'sec code',
    'security digits',
    'signature panel code',
    'card id code',
  ],
  ...[
    'digits on the back',
    'numbers on the back',
    'number on the back',
    'code on the back',
    'code on the front',
    'back of the card',
  ],
  ...[
    'back of my card',
    'back of card',
    'digits at the back',
    'numbers at the back',
    'digits on back',
    'numbers on back',
  ],
  // German, Dutch
  ...[
    'kartenprüfnummer',
    'kartenprüfziffer',
    'kartenprüfcode',
    'prüfziffer',
    'prüfnummer',
    'prüfnr',
    'prüfcode',
    'sicherheitscode',
  ],
  ...[
    'sicherheitsnummer',
    'sicherheitszahl',
    'sicherheitsziffer',
    'kartensicherheitscode',
    'kartencode',
    'kontrollnummer',
  ],
  ...['ziffern auf der rückseite', 'zahlen auf der rückseite', 'nummer auf der rückseite', 'rückseite der karte'],
  ...['beveiligingscode', 'veiligheidscode', 'kaartcode', 'cijfers achterop'],
  ...['cijfers op de achterkant', 'controlecijfer', 'verificatiecode kaart'],
  // French
  ...[
    'cryptogramme',
    'crypto visuel',
    'code de sécurité',
    'code sécurité',
    'numéro de sécurité',
    'chiffres au dos',
    'numéro au dos',
  ],
  ...['code au dos', 'chiffres derrière', 'dos de la carte'],
  // Spanish, Portuguese, Italian, Catalan, Romanian
  ...[
    'código de seguridad',
    'codigo seguridad',
    'clave de seguridad',
    'número de seguridad',
    'código de la tarjeta',
    'cod de seguridad',
  ],
  ...[
    'dígitos de atrás',
    'dígitos del reverso',
    'números de atrás',
    'números del reverso',
    'reverso de la tarjeta',
    'cod seg',
  ],
  ...[
    'código de segurança',
    'número de segurança',
    'dígitos do verso',
    'números do verso',
    'verso do cartão',
    'atrás do cartão',
  ],
  ...[
    'codice di sicurezza',
    'codice sicurezza',
    'cifre sul retro',
    'numeri sul retro',
    'retro della carta',
    'codice di controllo',
  ],
  ...['codi de seguretat', 'cod de securitate', 'codul de securitate', 'cod de siguranță'],
  // Nordic and Baltic
  ...[
    'säkerhetskod',
    'kontrollkod',
    'siffror på baksidan',
    'siffrorna på baksidan',
    'sikkerhedskode',
    'sikkerhetskode',
    'kontrolcifre',
  ],
  ...[
    'kontrollsiffer',
    'sifre på baksiden',
    'sifrene på baksiden',
    'turvakoodi',
    'tarkistenumero',
    'varmennuskoodi',
    'turvaluku',
  ],
  ...['turvakood', 'kontrollkood', 'drošības kods', 'saugos kodas', 'öryggisnúmer'],
  // Slavic, Hungarian, Greek, Turkish
  ...[
    'kod bezpieczeństwa',
    'kod zabezpieczający',
    'kod zabezpieczenia',
    'kod karty',
    'numer zabezpieczający',
    'cyfry z tyłu',
  ],
  ...[
    'bezpečnostní kód',
    'bezpečnostný kód',
    'ochranný kód',
    'kontrolní kód',
    'kód karty',
    'sigurnosni kod',
    'sigurnosni broj',
  ],
  ...[
    'varnostna koda',
    'kontrolni broj',
    'biztonsági kód',
    'ellenőrző szám',
    'güvenlik kodu',
    'güvenlik numarası',
    'kart kodu',
  ],
  ...[
    'код безопасности',
    'защитный код',
    'секретный код карты',
    'код на обороте',
    'цифры на обороте',
    'цифры сзади',
    'код карты',
  ],
  ...['свв', 'свс', 'цвв', 'цвц', 'ссв', 'код безпеки', 'захисний код', 'код на звороті', 'код за сигурност'],
  ...['сигурносен код', 'сигурносни код', 'κωδικός ασφαλείας', 'κωδικός ασφάλειας', 'κωδικός κάρτας'],
  // Semitic, Persian, Indic
  ...['קוד אבטחה', 'קוד ביטחון', 'ספרות בגב', 'رمز الأمان', 'رمز الحماية', 'كود الأمان', 'رمز التحقق من البطاقة'],
  ...['کد امنیتی', 'सुरक्षा कोड', 'सीवीवी', 'নিরাপত্তা কোড', 'சிவிவி', 'సివివి'],
  // East and South-East Asian
  ...[
    '安全码',
    '安全碼',
    '卡安全',
    '校验码',
    '末三码',
    '末三碼',
    '后三码',
    '後三碼',
    '背面三码',
    '背面三碼',
    '背面3位',
    '卡验证码',
    '卡片驗證碼',
  ],
  ...[
    'セキュリティコード',
    'セキュリティ番号',
    '裏面の3桁',
    '裏面3桁',
    '보안코드',
    '보안 코드',
    '카드 뒷면',
    '뒷면 3자리',
    '뒤 3자리',
  ],
  ...[
    'kode keamanan',
    'tiga angka di belakang',
    '3 angka di belakang',
    'kod keselamatan',
    'mã bảo mật',
    'mã an toàn',
    'số bảo mật',
  ],
  ...['รหัสความปลอดภัย', 'รหัสหลังบัตร', 'เลขหลังบัตร', 'เลข 3 ตัวหลัง'],
]);

/** Short names that mean other things too: taken only as a whole word with the digits right behind. */
export const SHORT_SECURITY_LABELS: readonly string[] = foldAll(['cid', 'csc', 'cvn', 'cvd', 'cvs', 'cav', 'cvx']);

/** Those of them that are common as names of fields for other things (customer id, client id), and are no label there. */
export const AMBIGUOUS_SHORT_LABELS: ReadonlySet<string> = new Set(['cid', 'cvs', 'cav', 'cvx']);

/** Between a label and its code these say nothing. */
export const FILLER_WORDS: ReadonlySet<string> = foldSet(`
  is s it its are was be would will should ll code codes number numbers num no nr value digit digits one ones three four last security
  on of for to in at the a an my our your his her mine this that these and back front side reverse card cards creditcard debit credit visa mastercard
  master amex mc pls please here ok okay yes yeah sure following as below equals reads says pin there thats thx again also just sorry
  ist lautet sind der die das den dem des mein meine meiner meines dein deine ihr ihre karte kreditkarte kartennummer rückseite hinten auf von zu zur für
  und nummer lautend also hier bitte ja ziffer ziffern drei vier stellen stellig letzten
  est sont le la les l de du des d mon ma mes ton votre vos carte bancaire cb bleue au dos verso et pour numéro voici suivant c oui chiffre chiffres trois quatre derniers
  es son el los las mi mis tu su sus tarjeta crédito débito detrás reverso del atrás y para número numero aquí sí si dígito dígitos tres cuatro últimos
  é são o os meu minha seu cartão cartao verso do da e para aqui sim trás três quatro
  è sono il lo gli mio mia tuo suo carta retro sul della ed per ecco cifre tre quattro sì
  is zijn het mijn je uw kaart op achterkant en voor hier ja cijfers drie vier
  är min mitt mina din ditt kort kortet på baksidan och för här er mit dit af bag bagsiden kortin on minun
  to jest mój moja moje twój karty karta kartę na z tyłu i dla tutaj tak cyfry trzy je můj moje karty zadní straně a pro
  kártya kártyám a az és hátoldalán kart kartın kartımın arkası ve benim şu
  это мой моя моей код карты карта картой на обороте и для номер вот да цифры три с сзади є мій картки це код та
  είναι ο η το μου της κάρτας στο πίσω και
  הוא שלי של הכרטיס על הגב ו זה هو الخاص بي على البطاقة ظهر و कार्ड का है मेरा और
  是 为 為 的 我 我的 は です の が 는 은 입니다 이 가 adalah ialah saya kartu kad di belakang dan untuk là của tôi thẻ คือ ครับ ค่ะ
`);

/** Words around an expiry date. */
export const EXPIRY_WORDS: ReadonlySet<string> = foldSet(`
  exp expiry expires expire expiring expiration expirydate date dt valid validity thru through until till til up month year mm yy yyyy mmyy to ends end good
  gültig bis ablauf ablaufdatum verfall verfallsdatum verfalldatum läuft ab gueltig datum monat jahr
  expire expiration fin valable validité jusqu jusque au date mois année échéance valide
  caducidad caduca cad vence venc vencimiento válida valida válido hasta fecha mes año
  validade validade até vencimento vence data expira mês ano
  scadenza scade scad valida fino al data mese anno
  geldig tot vervaldatum verloopt datum geldigheid utgångsdatum giltig till gäller tom t o m udløb udløber gyldig utløper utløpsdato voimassa asti
  ważna do ważność data wygasa termin ważności platnost do platí platnosť lejárat érvényes
  son kullanma tarihi skt срок до действует годен действия термін дії λήξη ισχύει تاريخ الانتهاء תוקף 有效期 有效期限 有効期限 유효기간 hạn
`);

/** First three letters of the months in Latin spelling, several languages. */
export const MONTH_STEMS: ReadonlyMap<string, number> = new Map(
  [
    ['jan', 'ene', 'gen', 'jän', 'sty', 'led'],
    ['feb', 'fév', 'fev', 'lut', 'únor'],
    ['mar', 'mär', 'maa', 'mrz'],
    ['apr', 'abr', 'avr', 'kwi'],
    ['may', 'mai', 'mag', 'maj', 'mei'],
    ['jun', 'jui', 'giu', 'cze'],
    ['jul', 'juillet', 'lug', 'lip'],
    ['aug', 'ago', 'aoû', 'sie'],
    ['sep', 'set', 'wrz'],
    ['oct', 'okt', 'ott', 'out', 'paź'],
    ['nov', 'lis'],
    ['dec', 'dez', 'dic', 'déc', 'des', 'gru'],
  ].flatMap((stems, index) => stems.map((stem): [string, number] => [fold(stem).chars, index + 1])),
);

/** Words, by their beginning, that say that a card is spoken of. */
export const CARD_STEMS: readonly string[] = foldAll([
  ...[
    'card',
    'creditcard',
    'debitcard',
    'credit',
    'debit',
    'ccnum',
    'ccno',
    'visa',
    'mastercard',
    'maestro',
    'amex',
    'american',
    'discover',
  ],
  ...[
    'diners',
    'jcb',
    'unionpay',
    'rupay',
    'kreditkart',
    'kartennummer',
    'kartennr',
    'karte',
    'girocard',
    'bankkarte',
    'carte',
    'cb',
  ],
  ...[
    'tarjeta',
    'cartão',
    'cartao',
    'carta',
    'carte',
    'targeta',
    'kaart',
    'creditkaart',
    'kort',
    'kreditkort',
    'betalkort',
    'kortti',
    'luottokort',
  ],
  ...[
    'karta',
    'karty',
    'kartę',
    'kartu',
    'kartą',
    'karte',
    'kártya',
    'kart',
    'card',
    'kortel',
    'карт',
    'картк',
    'κάρτα',
    'κάρτας',
    'כרטיס',
  ],
  ...['بطاقة', 'بطاقت', 'कार्ड', 'カード', '卡号', '卡號', '信用卡', '카드', 'thẻ', 'บัตร', 'pan'],
]);

/** With one of these before it a card is none that pays. */
export const OTHER_CARD_WORDS: ReadonlySet<string> = foldSet(`
  gift egift loyalty member membership sim bonus id identity library reward rewards points club health insurance store customer student report
  geschenk kunden gutschein treue mitglieds prepaid cadeau fidélité regalo fidelidad presente regalo fedeltà cadeau klanten presentkort gavekort
`);

/** Words, by their beginning, that say what else a long number is, when they stand right before it. */
export const SPARED_STEMS: readonly string[] = foldAll([
  // Orders, invoices, customers
  ...['order', 'purchase', 'invoice', 'receipt', 'booking', 'reservation', 'ticket', 'case', 'customer', 'reference'],
  ...[
    'ref',
    'transaction',
    'txn',
    'confirmation',
    'serial',
    'sn',
    'sku',
    'ean',
    'gtin',
    'upc',
    'isbn',
    'barcode',
    'product',
    'item',
  ],
  ...[
    'article',
    'voucher',
    'coupon',
    'giftcard',
    'gift',
    'loyalty',
    'membership',
    'imei',
    'imsi',
    'iccid',
    'meid',
    'sim',
    'device',
    'uuid',
  ],
  ...['id', 'ids', 'sid', 'guid', 'iban', 'vat', 'tax', 'siret', 'timestamp', 'epoch', 'token'],
  ...[
    'bestell',
    'auftrag',
    'rechnung',
    'beleg',
    'buchung',
    'kunden',
    'vorgang',
    'artikel',
    'serien',
    'gutschein',
    'geschenk',
    'referenz',
  ],
  ...[
    'aktenzeichen',
    'quittung',
    'lieferschein',
    'commande',
    'facture',
    'référence',
    'client',
    'réservation',
    'dossier',
    'pedido',
  ],
  ...[
    'factura',
    'recibo',
    'cliente',
    'reserva',
    'encomenda',
    'fatura',
    'ordine',
    'fattura',
    'ricevuta',
    'prenotazione',
  ],
  ...[
    'bestel',
    'factuur',
    'klant',
    'beställning',
    'faktura',
    'ordre',
    'bestilling',
    'kunde',
    'tilaus',
    'lasku',
    'zamówieni',
  ],
  ...['objednáv', 'rendelés', 'számla', 'sipariş', 'comand', 'заказ', 'замовлен'],
  ...[
    'поръчк',
    'παραγγελ',
    'τιμολόγ',
    'הזמנה',
    'חשבונית',
    'طلب',
    'فاتورة',
    'ऑर्डर',
    '订单',
    '訂單',
    '注文',
    '주문',
    'pesanan',
    'đơn hàng',
  ],
  // Parcels
  ...[
    'tracking',
    'track',
    'trace',
    'shipment',
    'shipping',
    'parcel',
    'package',
    'waybill',
    'awb',
    'consignment',
    'ups',
    'usps',
    'fedex',
    'dhl',
  ],
  ...[
    'dpd',
    'gls',
    'hermes',
    'evri',
    'royal',
    'sendung',
    'paket',
    'lieferung',
    'colis',
    'suivi',
    'envío',
    'seguimiento',
    'guía',
    'rastreio',
  ],
  ...[
    'rastreamento',
    'spedizione',
    'tracciamento',
    'pacco',
    'zending',
    'pakket',
    'försändelse',
    'kolli',
    'paczk',
    'przesyłk',
    'zásilk',
    'balík',
  ],
  ...[
    'csomag',
    'kargo',
    'takip',
    'трек',
    'посылк',
    'отправлен',
    'αποστολ',
    '运单',
    '快递',
    '物流',
    '追跡',
    '송장',
    '운송장',
    'resi',
    'vận đơn',
  ],
]);

/** Words, by their beginning, that say that a number is called. */
export const PHONE_STEMS: readonly string[] = foldAll([
  ...[
    'phone',
    'telephone',
    'tel',
    'call',
    'mobile',
    'mob',
    'cell',
    'whatsapp',
    'sms',
    'text',
    'txt',
    'fax',
    'ring',
    'dial',
    'landline',
    'hotline',
  ],
  ...[
    'telefon',
    'handy',
    'mobil',
    'ruf',
    'anruf',
    'téléphone',
    'portable',
    'appel',
    'teléfono',
    'móvil',
    'celular',
    'llama',
    'telefone',
    'ligue',
  ],
  ...[
    'cellulare',
    'chiama',
    'telefoon',
    'bel',
    'ring',
    'puhelin',
    'komórk',
    'zadzwo',
    'тел',
    'звон',
    'τηλ',
    'נייד',
    'هاتف',
    'फोन',
    '电话',
    '電話',
    '전화',
  ],
]);

/** Behind such a word these make plain that its number follows. */
export const NUMBER_NOUNS: ReadonlySet<string> = foldSet(`
  no nr num number numbers nummer n numero número numéro nro číslo numer broj szám номер код id ids code kod kode
`);

/** Between such a word and its number these say nothing. */
export const NUMBER_COPULAS: ReadonlySet<string> = foldSet(`
  is are was s ist sind lautet est es son é è sono er är jest je to
`);

/** Between "call" and a number these say nothing. */
export const PHONE_FILLERS: ReadonlySet<string> = foldSet(`
  me us on at to under unter au al nos bei mich uns my our your
`);

/** Spoken digits, for codes that are written out. */
export const DIGIT_WORDS: ReadonlySet<string> = foldSet(`
  zero oh one two three four five six seven eight nine
  null eins zwei zwo drei vier fünf sechs sieben acht neun
  zéro un deux trois quatre cinq sept huit neuf
  cero uno dos tres cuatro cinco seis siete ocho nueve
  um dois três quatro sete oito nove
  due quattro cinque sei sette otto nove
  nul een twee drie vijf zes zeven negen
  noll ett två tre fyra fem sex sju åtta nio
  jeden dwa trzy cztery pięć sześć siedem osiem dziewięć
  ноль один два три четыре пять шесть семь восемь девять
`);

/** What is counted, not quoted, when it follows a small number: "3 digit code". */
export const COUNT_STEMS: readonly string[] = foldAll([
  ...[
    'digit',
    'number',
    'stellig',
    'ziffer',
    'zahl',
    'chiffre',
    'digito',
    'cifr',
    'cijfer',
    'siffr',
    'sifr',
    'cyfr',
    'hane',
    'haneli',
    'цифр',
  ],
  ...['знач', 'ספרות', 'أرقام', '位', '桁', '자리', 'angka', 'số', 'ตัว', 'numero', 'nombre', 'character', 'st'],
]);

/** Names of one-time codes. */
export const ONE_TIME_LABELS: readonly string[] = foldAll([
  ...[
    'otp',
    'o t p',
    'one time password',
    'one time passcode',
    'one time code',
    'one time pin',
    'passcode',
    'pass code',
    'verification code',
  ],
  ...[
    'verification pin',
    'verification number',
    'verify code',
    'login code',
    'log in code',
    'sign in code',
    'signin code',
    'auth code',
  ],
  ...[
    'authentication code',
    'authorization code',
    'authorisation code',
    'authenticator code',
    'confirmation code',
    'access code',
    'security code',
  ],
  ...[
    'activation code',
    'validation code',
    'registration code',
    'reset code',
    'recovery code',
    '2fa code',
    'two factor code',
    'temporary code',
  ],
  ...['temporary password', 'temporary pin', 'verification is', 'smstan', 'mtan', 'sms tan', 'tan'],
  ...[
    'bestätigungscode',
    'bestaetigungscode',
    'verifizierungscode',
    'verifikationscode',
    'einmalcode',
    'einmalkennwort',
    'einmalpasswort',
  ],
  ...[
    'einmalpin',
    'sicherheitscode',
    'anmeldecode',
    'zugangscode',
    'freischaltcode',
    'aktivierungscode',
    'authentifizierungscode',
    'prüfcode',
  ],
  ...[
    'code de vérification',
    'code de confirmation',
    'code de connexion',
    'code à usage unique',
    'code d authentification',
    'code d activation',
  ],
  ...['code de sécurité', 'code d accès', 'code de validation', 'mot de passe à usage unique', 'code temporaire'],
  ...[
    'código de verificación',
    'código de confirmación',
    'código de acceso',
    'código de seguridad',
    'código de activación',
    'clave dinámica',
  ],
  ...['contraseña de un solo uso', 'código de un solo uso', 'clave temporal', 'token de seguridad', 'clave de acceso'],
  ...[
    'código de verificação',
    'código de confirmação',
    'código de acesso',
    'código de segurança',
    'senha temporária',
    'código de ativação',
  ],
  ...[
    'codice di verifica',
    'codice di conferma',
    'codice di accesso',
    'codice di sicurezza',
    'codice temporaneo',
    'codice otp',
    'codice monouso',
  ],
  ...[
    'verificatiecode',
    'bevestigingscode',
    'inlogcode',
    'toegangscode',
    'eenmalige code',
    'beveiligingscode',
    'activatiecode',
  ],
  ...[
    'verifieringskod',
    'bekräftelsekod',
    'engångskod',
    'inloggningskod',
    'säkerhetskod',
    'bekræftelseskode',
    'engangskode',
    'bekreftelseskode',
  ],
  ...['verifikasjonskode', 'verifikationskode', 'vahvistuskoodi', 'kertakäyttökoodi', 'kertakäyttöinen koodi'],
  ...[
    'kod weryfikacyjny',
    'kod potwierdzający',
    'kod do logowania',
    'kod jednorazowy',
    'hasło jednorazowe',
    'kod sms',
    'kod aktywacyjny',
  ],
  ...[
    'ověřovací kód',
    'overovací kód',
    'potvrzovací kód',
    'jednorázový kód',
    'ellenőrző kód',
    'megerősítő kód',
    'egyszeri kód',
    'cod de verificare',
  ],
  ...[
    'cod de confirmare',
    'cod de acces',
    'doğrulama kodu',
    'onay kodu',
    'tek kullanımlık',
    'giriş kodu',
    'kontrolni kod',
    'verifikacijski kod',
  ],
  ...[
    'код подтверждения',
    'проверочный код',
    'код доступа',
    'код проверки',
    'одноразовый пароль',
    'одноразовый код',
    'код для входа',
    'код авторизации',
  ],
  ...[
    'код підтвердження',
    'код перевірки',
    'одноразовий код',
    'код за потвърждение',
    'κωδικός επαλήθευσης',
    'κωδικός επιβεβαίωσης',
    'κωδικός μίας χρήσης',
  ],
  ...[
    'קוד אימות',
    'קוד האימות',
    'קוד חד פעמי',
    'رمز التحقق',
    'رمز التأكيد',
    'كود التفعيل',
    'رمز الدخول',
    'کد تایید',
    'सत्यापन कोड',
    'ओटीपी',
  ],
  ...[
    '验证码',
    '驗證碼',
    '校验码',
    '动态密码',
    '動態密碼',
    '认证码',
    '確認碼',
    '認証コード',
    '確認コード',
    '認証番号',
    'ワンタイムパスワード',
    '인증번호',
    '인증 번호',
  ],
  ...[
    '인증코드',
    '인증 코드',
    '확인 코드',
    'kode verifikasi',
    'kode otp',
    'kode konfirmasi',
    'kod pengesahan',
    'mã xác minh',
    'mã xác thực',
    'mã xác nhận',
  ],
  ...['mã otp', 'รหัสยืนยัน', 'รหัส otp', 'รหัส ยืนยัน'],
]);

/** Weak names: taken only with a copula or colon right behind, and without one of `OTHER_CODE_WORDS` right before. */
export const WEAK_CODE_LABELS: readonly string[] = foldAll([
  ...[
    'code',
    'pin',
    'kod',
    'koden',
    'kode',
    'kód',
    'código',
    'codigo',
    'codice',
    'koodi',
    'código',
    'код',
    'κωδικός',
    'קוד',
    'الرمز',
    'رمز',
    'कोड',
    'コード',
  ],
  ...['코드', 'mã', 'รหัส', 'password', 'passwort', 'kennwort', 'пароль', '密码', 'clave', 'senha'],
]);

/** What else has a code. */
export const OTHER_CODE_WORDS: ReadonlySet<string> = foldSet(`
  zip postal post area country city discount promo promotion coupon voucher gift order tracking track product item article booking reservation
  qr bar error status color colour referral refer invite dress key source sort swift branch state region currency language short vanity
  customer member dealer identifier campaign offer sale savings reorder unit model part serial building door gate entry tax vat hs tariff
  rabatt gutschein aktions postleit länder bestell artikel kunden fehler filial
  promotionnel promo réduction postal porte commande erreur descuento promocional pedido postal desconto cupom sconto promozionale kortings
  rabatkode rabattkod postkod kod pocztowy rabatowy скидки промо почтовый заказа товара
`);

/** Copulas that make a weak label strong: "your code is 123456". */
export const COPULAS: ReadonlySet<string> = foldSet(`
  is s are ist lautet est es é è är er is jest je to on van это است هو 是 は です 为 為 adalah là คือ είναι הוא
`);

/** Keys of forms and JSON under which stands an id, a time or an address, never free text. Compared without case, dashes and underscores. */
export const SPARED_KEYS: ReadonlySet<string> = new Set(
  `from to cc msisdn phone phonenumber sender recipient receiver waid userid chatid author mid mids ts timestamp time date datetime
  createdat updatedat sentat seq sequence watermark offset expiry expires contact handle destination source channel participant ean gtin
  barcode upc sku imei parentref token messagetoken nonce etag hash sha256 checksum latitude longitude lat lng lon long phonenumberid
  useragent ip trackingnumber trackingnumbers trackingcode ordernumber order invoice invoicenumber reference ref sid asin isbn iban`
    .split(/\s+/)
    .filter((key) => key !== ''),
);

/** Keys that say nothing about their value: what the value is follows from the text before it. */
export const NEUTRAL_KEYS: ReadonlySet<string> = new Set(
  'value values val v text txt answer answers response reply content data body input result field fielddata string raw message'.split(
    ' ',
  ),
);

function foldAll(words: readonly string[]): readonly string[] {
  return [...new Set(words.map((word) => fold(word).chars))];
}

function foldSet(words: string): ReadonlySet<string> {
  return new Set(
    words
      .split(/\s+/)
      .filter((word) => word !== '')
      .map((word) => fold(word).chars),
  );
}
